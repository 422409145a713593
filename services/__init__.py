"""The services of the system; none imports another."""
