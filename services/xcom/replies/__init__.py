"""Replies: what people answer to what they were told, fetched, so that no port need be open."""
