"""How hard to try: a little in `make test`, for long in `make chaos`."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("CHAOS_SEED", "20260131"))
KILLS = int(os.environ.get("CHAOS_KILLS", "6"))
CUTS = 5 * KILLS


def chance(purpose: str) -> random.Random:
    """Chance that can be had again: CHAOS_SEED says which."""
    return random.Random(f"{SEED} {purpose}")  # noqa: S311 - the same again, not secret
