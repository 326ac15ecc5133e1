"""The shipped recipes: YAML files, found by `mpo_snn.training.recipe_file`."""
