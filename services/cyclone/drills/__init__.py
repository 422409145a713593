"""Drills: the watcher plays dead to the outside, to see how long it takes until it is told."""
