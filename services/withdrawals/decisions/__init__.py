"""Decisions: one advice about an asset, with what it rests on."""
