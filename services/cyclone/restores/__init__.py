"""What is to be told after the database was filled from a backup."""
