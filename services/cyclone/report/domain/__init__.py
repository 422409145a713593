"""Sections, what changed, and the file made of them: pure."""
