"""Use cases of price rules: edited by people, judged by prices, taken back to a version."""
