"""Where prices and their history are kept. Knows SQL and nothing of why."""
