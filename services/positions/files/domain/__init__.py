"""Files as rows, rows as terms or refusals; pure."""
