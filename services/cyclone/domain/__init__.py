"""The rules of a cycle, pure: steps and their order, what an answer means, incidents, slots."""
