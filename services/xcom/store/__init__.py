"""Rows of xcom in and out; the only SQL of this service."""
