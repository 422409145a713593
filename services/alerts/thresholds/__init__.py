"""Thresholds: the limits that alerts are judged by, edited one by one or as a file."""
