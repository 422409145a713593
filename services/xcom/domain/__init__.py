"""Rules of xcom: pure functions and values, no input or output, no clock, no protobuf."""
