"""The other services and the world outside, as monitor sees them."""
