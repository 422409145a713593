"""The full-screen console: the same verbs as the command line, by keys, live."""
