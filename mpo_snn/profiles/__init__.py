"""Profiles: facts about hardware as data (TOML), and the typed loaders that check them."""
