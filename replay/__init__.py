"""Time: as of then, rebuild, difference, verification."""
