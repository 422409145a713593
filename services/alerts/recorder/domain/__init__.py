"""Recordings, their bytes, and what comes of them again. Pure."""
