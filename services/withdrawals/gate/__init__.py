"""The residual gate: is the last point of a series what those before it let expect?"""
