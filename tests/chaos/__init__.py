"""Faults: what is killed, cut, filled up or overrun, and what must hold all the same."""
