"""Deliveries: the queue, what is sent from it, and what is given up."""
