"""How tables follow from events, in columns."""
