"""Backups of everything that is kept: taken while Sonic runs, restored into a fresh home."""
