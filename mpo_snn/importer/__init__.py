"""NIR graphs, ours or foreign, as networks that can be trained; `mpo_snn.from_nir` is the door."""
