"""Random bytes, drawn from the kernel many at a time.

Each draw lets go of the interpreter, and a busy thread comes back to it late: with one for each id
and each nonce a command cost a sixth more.
"""

from __future__ import annotations

import os

DRAWN_BYTES = 4096


class Chance:
    """Pieces of so many random bytes; none is given twice, to whatever thread or fork."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left: list[bytes] = []
        os.register_at_fork(after_in_child=self._left.clear)

    def draw(self) -> bytes:
        """The next piece."""
        while True:
            try:
                return self._left.pop()
            except IndexError:
                size = self._size
                drawn = os.urandom(DRAWN_BYTES // size * size)
                self._left.extend([drawn[at : at + size] for at in range(0, len(drawn), size)])
