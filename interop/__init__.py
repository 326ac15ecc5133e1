"""Round trips through the real NIR readers, each in an environment of its own (`make interop`)."""
