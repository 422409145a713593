"""Rules of alerts, pure: what a level is, when it changes, what is recorded of it."""
