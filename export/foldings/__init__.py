"""Small passes on NIR graphs that leave every spike as it is, run where a reader asks for them."""
