"""Operation counts of this project beside those of NeuroBench and SpikingJelly."""
