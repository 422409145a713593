"""Where prices and their history are kept."""
