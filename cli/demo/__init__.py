"""A small company's two years, made up and replayable, and a tour of what can be asked of them."""
