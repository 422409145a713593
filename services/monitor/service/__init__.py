"""Use cases of monitor: check runs, queries and edits, notifications."""
