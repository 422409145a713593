"""Written beside the cycle; replayed when somebody asks."""
