"""Where the time goes: `make profile` runs the system and makes docs/profile.md of what it saw."""
