"""What can be asked of the tables."""
