"""The services that cyclone calls, and the outside: message to value and back. Decides nothing."""
