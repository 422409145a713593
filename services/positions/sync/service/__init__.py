"""Use cases of sync: every wallet fetched by itself, each answer applied by itself."""
