"""The chain of rows, and the segments of it that leave for sealed files."""
