"""Room for the one foreign schema our stubs import: validation rules."""
