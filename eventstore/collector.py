"""When Python looks for garbage that reference counts leave behind: seldom, and not at the end."""

from __future__ import annotations

import atexit
import gc

YOUNG_OBJECTS = 50_000
YOUNG_COLLECTIONS = 10
MIDDLE_COLLECTIONS = 100


def collect_seldom() -> None:
    """Have the collector run a hundred times less often than it does by itself.

    A process that writes keeps tens of thousands of states, which are many small values without a
    cycle among them. By default Python goes through all of them again and again: more than half of
    what importing a row took, and pauses of a third of a second. Nor does it go through all of them
    once more before the process ends, which took seconds. Whoever starts a process calls it.
    """
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS)
    atexit.register(gc.freeze)
