"""Doors only: HTTP routes derived from commands and queries."""
