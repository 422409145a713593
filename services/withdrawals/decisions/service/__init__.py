"""Use cases of decisions: evaluate, keep, tell, explain."""
