"""What cyclone does by itself: keeps the lease, runs cycles, notifies of deaths, pings outside."""
