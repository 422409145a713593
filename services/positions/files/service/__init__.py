"""Use cases of files: imported and exported."""
