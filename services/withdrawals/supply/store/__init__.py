"""Rows of supply in and out: flows, samples as columns, references, cursors."""
