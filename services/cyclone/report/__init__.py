"""What happened in a cycle, as one document for people and one for programs."""
