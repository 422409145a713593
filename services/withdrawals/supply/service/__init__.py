"""Use cases of supply: rows by hand, from files, from the venue."""
