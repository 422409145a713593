"""What the touch probability said, and whether it came true."""
