"""The question before sleep: what could hurt in the hours to come, and who would be woken."""
