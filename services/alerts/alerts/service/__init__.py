"""Use cases of alerts: ensured, evaluated, edited, deleted, listed and watched."""
