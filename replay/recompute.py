"""The tree as the rows give it, however long the log is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from eventstore.leaf import leaf_hashes
from eventstore.merkle import HASH_BYTES
from eventstore.tree import HEIGHT, WIDTH, Tree, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

PAGE_EVENTS = WIDTH * WIDTH
BEFORE_ALL = -(2**63) + 1
UNREADABLE = bytes(HASH_BYTES)

Rows = Callable[[int, int], "pa.Table"]
"""Rows after a position, so many, as `Log.read_arrow` gives them."""


class Recomputed(Tree):
    """The tree as the rows give it; of the leaves only the tiles that will be asked for."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.size = 0
        self._wanted = {size // WIDTH for size in sizes}
        self._leaves: dict[int, bytes] = {}
        self._above: list[list[bytes]] = []

    def tile(self, level: int, number: int) -> bytes:
        """See `Tree`."""
        if not level:
            return self._leaves.get(number, b"")
        row = self._above[level - 1] if level <= len(self._above) else []
        return b"".join(row[number * WIDTH : (number + 1) * WIDTH])

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add leaves; those before have to be full tiles."""
        number = self.size // WIDTH
        self.size += len(leaves)
        above = []
        for at in range(0, len(leaves), WIDTH):
            row = leaves[at : at + WIDTH]
            if number in self._wanted:
                self._leaves[number] = b"".join(row)
            if len(row) == WIDTH:
                above.append(whole(row))
            number += 1
        self._climb(0, above)

    def _climb(self, level: int, new: Sequence[bytes]) -> None:
        if not new:
            return
        if level == len(self._above):
            self._above.append([])
        row = self._above[level]
        begun = len(row) - len(row) % WIDTH
        row += new
        full = range(begun, len(row) - len(row) % WIDTH, WIDTH)
        self._climb(level + 1, [whole(row[at : at + WIDTH]) for at in full])


def pages(rows: Rows, size: int) -> Iterator[pa.Table]:
    """The first rows of the log: while one page is hashed the next one is read."""
    with ThreadPoolExecutor(1) as reader:
        asked = min(size, PAGE_EVENTS)
        coming = reader.submit(rows, BEFORE_ALL, asked)
        while asked:
            page = coming.result()
            size -= len(page)
            asked = min(size, PAGE_EVENTS) if len(page) == asked else 0
            if asked:
                coming = reader.submit(rows, page["position"][-1].as_py(), asked)
            if len(page):
                yield page


def hashed(page: pa.Table) -> list[bytes]:
    """The leaves of a page; one that cannot be made of a row is all zeros."""
    try:
        return leaf_hashes(page)
    except (TypeError, struct.error, AttributeError):  # a row with holes: each for itself
        return [_hashed_alone(page.slice(at, 1)) for at in range(len(page))]


def _hashed_alone(row: pa.Table) -> bytes:
    try:
        return leaf_hashes(row)[0]
    except (TypeError, struct.error, AttributeError):
        return UNREADABLE


def inner_tiles(size: int) -> Iterator[tuple[int, int]]:
    """The tiles above the leaves of a tree, as (level, number)."""
    level, count = 1, size >> HEIGHT
    while count:
        yield from ((level, number) for number in range(-(-count // WIDTH)))
        level, count = level + 1, count >> HEIGHT
