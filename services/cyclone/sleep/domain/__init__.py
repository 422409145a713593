"""Before sleep: what is known, and what it makes of the night. Pure."""
