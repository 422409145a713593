"""Use cases of assets: edited one by one, or taken from a file."""
