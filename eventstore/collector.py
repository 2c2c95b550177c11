"""When Python looks for garbage that reference counts leave behind: seldom, and not at the end."""

from __future__ import annotations

import atexit
import gc

YOUNG_OBJECTS = 10_000
"""So few still lie in the caches of a processor when they are gone through: 2 milliseconds, where
50,000 took 16 to 55, and everybody waits meanwhile."""

YOUNG_COLLECTIONS = 500
"""What has outlived one look is a state or a key and as good as never garbage; to go through half a
million of those again takes 170 milliseconds."""

MIDDLE_COLLECTIONS = 10


def collect_seldom() -> None:
    """Have the collector go through what is new, and very seldom through anything else.

    A process that writes keeps tens of thousands of states, which are many small values without a
    cycle among them. By default Python goes through all of them again and again: more than half of
    what importing a row took, and pauses of a third of a second. Nor does it go through all of them
    once more before the process ends, which took seconds. Whoever starts a process calls it.
    """
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, MIDDLE_COLLECTIONS)
    atexit.register(gc.freeze)
