"""Rules of positions: pure functions and values, no input or output, no clock, no protobuf."""
