"""The commands, one module each; every module has `main(argv=None) -> int`."""
