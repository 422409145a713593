"""Flows, samples and references: what came in and out, what was held, from when gains count."""
