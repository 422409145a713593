"""What belongs to one incident, and what of it is called back; pure."""
