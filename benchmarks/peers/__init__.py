"""What a user would build or take instead, at its best, in processes of its own."""
