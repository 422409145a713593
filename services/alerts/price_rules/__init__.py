"""Price rules: what somebody waits for on a price, judged by every evaluation."""
