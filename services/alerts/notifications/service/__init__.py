"""Changes of level recorded for the outbox, and the outbox handed to the notification service."""
