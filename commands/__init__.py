"""What can be asked for, and when the answer is no."""
