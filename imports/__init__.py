"""Files in and out: readable recipes and the machinery that follows them."""
