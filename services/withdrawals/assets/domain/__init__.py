"""Rules of settings: what each may be, and what it is by default."""
