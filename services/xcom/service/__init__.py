"""Use cases of xcom, by noun."""
