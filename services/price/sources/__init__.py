"""Where prices come from: one file a source, and the registry that names them."""
