"""What each evaluation read and what came of it, kept for a while; and replayed."""
