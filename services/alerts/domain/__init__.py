"""Rules of alerts, pure: what a level is, when it changes, what is said and how it is recorded."""
