"""The Merkle tree of RFC 9162: roots, proofs, and their verification.

A tree is known by its complete subtrees: `node(level, number)` is the hash over the leaves from
`number << level` on, `1 << level` of them. Everything else follows from those.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Node = Callable[[int, int], bytes]

HASH_BYTES = 32
EMPTY_ROOT = sha256().digest()
LEAF, INNER = b"\x00", b"\x01"
"""What is hashed begins with one of them, so that no leaf can pass for a node above leaves."""


class ProofWrong(ValueError):
    """The proof does not lead to the root."""


class Frontier:
    """The right edge of a tree that only grows: its peaks, and nothing else."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        levels = [level for level, _ in peaks(size)]
        if len(levels) != len(hashes):
            raise ValueError(f"a tree of {size} leaves has {len(levels)} peaks, not {len(hashes)}")
        self.size = size
        self._peaks = dict(zip(levels, hashes, strict=True))

    @property
    def hashes(self) -> list[bytes]:
        """The hashes of the peaks, that of the largest first."""
        return [self._peaks[level] for level in sorted(self._peaks, reverse=True)]

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add the hashes of leaves."""
        row, level = list(leaves), 0
        self.size += len(row)
        while row:
            if level in self._peaks:
                row.insert(0, self._peaks.pop(level))
            if len(row) % 2:
                self._peaks[level] = row[-1]
            row, level = parents(row), level + 1

    def root(self) -> bytes:
        """The root over all leaves."""
        found = EMPTY_ROOT
        for count, peak in enumerate(reversed(self.hashes)):
            found = node_hash(peak, found) if count else peak
        return found


def leaf_hash(content: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(LEAF + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash over two neighbours."""
    return sha256(INNER + left + right).digest()


def parents(hashes: Sequence[bytes]) -> list[bytes]:
    """The hashes one level up; the last one, if it has no neighbour, is left out."""
    even = len(hashes) // 2 * 2
    return [
        sha256(INNER + left + right).digest()
        for left, right in zip(hashes[0:even:2], hashes[1:even:2], strict=True)
    ]


def peaks(size: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees a tree consists of, largest first, as (level, number)."""
    begin = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            yield level, begin >> level
            begin += 1 << level


def root(size: int, node: Node) -> bytes:
    """The root over the first `size` leaves."""
    return _subtree(0, size, node)


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """What leads from the leaf with this index to the root over `size` leaves (2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_subtree(middle, end, node))
            end = middle
        else:
            path.append(_subtree(begin, middle, node))
            begin = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """What shows that the first `old` leaves of a tree are where they were (2.1.4.1)."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not follow from one of {old}")
    if old in {0, new}:
        return []
    path: list[bytes] = []
    begin, end, whole = 0, new, True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_subtree(middle, end, node))
            end = middle
        else:
            path.append(_subtree(begin, middle, node))
            begin, whole = middle, False
    if not whole:
        path.append(_subtree(begin, end, node))
    return path[::-1]


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes
) -> None:
    """Raise `ProofWrong` unless the leaf stands there under that root (2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofWrong(f"a tree of {size} leaves has no leaf {index}")
    found = leaf
    for step, left in _steps(index, size - 1, proof):
        found = node_hash(step, found) if left else node_hash(found, step)
    if found != expected:
        raise ProofWrong(f"the proof of leaf {index} does not lead to the root of {size} leaves")


def check_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raise `ProofWrong` unless the new tree begins with the whole of the old one (2.1.4.2)."""
    wrong = ProofWrong(f"the tree of {new} leaves does not continue the one of {old}")
    if not 0 <= old <= new:
        raise wrong
    if old in {0, new}:
        if proof or old_root != (new_root if old else EMPTY_ROOT):
            raise wrong
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise wrong
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    found_old = found_new = path[0]
    for step, left in _steps(number, last, path[1:]):
        if left:
            found_old, found_new = node_hash(step, found_old), node_hash(step, found_new)
        else:
            found_new = node_hash(found_new, step)
    if found_old != old_root or found_new != new_root:
        raise wrong


def _steps(number: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The hashes on the way up, and whether each belongs to the left."""
    for step in proof:
        if last == 0:
            raise ProofWrong("the proof is too long")
        left = bool(number & 1) or number == last
        while left and number and not number & 1:
            number, last = number >> 1, last >> 1
        yield step, left
        number, last = number >> 1, last >> 1
    if last:
        raise ProofWrong("the proof is too short")


def _subtree(begin: int, end: int, node: Node) -> bytes:
    """The hash over the leaves from `begin` to `end`, where `begin` is a multiple of its width."""
    found = EMPTY_ROOT
    for count, (level, number) in enumerate(reversed(list(peaks(end - begin)))):
        peak = node(level, number + (begin >> level))
        found = node_hash(peak, found) if count else peak
    return found


def _split(width: int) -> int:
    """The largest power of two below `width`."""
    return 1 << (width - 1).bit_length() - 1
