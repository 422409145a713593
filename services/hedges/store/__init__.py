"""Rows of hedges in and out; the only SQL of this service."""
