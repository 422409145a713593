"""Where samples, flows and prices come from."""
