"""Use cases of channels, and one try on one of them."""
