"""The integer cores of `mpo_snn.deploy` against simulators of others: `make deploy-proof`."""
