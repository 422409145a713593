"""Rules of rows: what a file may hold, what the venue tells, what is simulated."""
