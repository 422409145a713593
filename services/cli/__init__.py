"""The `sonic` command: a client like any other, and the whole house on one machine."""
