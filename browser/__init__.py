"""Opens the report in a real browser: `make browser`."""
