"""Rules of deliveries: bursts, capacity, deaths; pure."""
