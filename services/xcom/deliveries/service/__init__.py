"""Use cases of deliveries: claimed, sent, settled, followed."""
