"""Who is known, and whom somebody new may be: found by what two have in common, told by likeness.

All of it is in a spill: found by keyed hashes, sealed, and gone with the process. No table of the
workspace learns of any of it. With a long file it is a process of its own, for to look for one row
takes half as long as to import it: see `apart`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from imports import apart
from imports.likeness import Compared, Traits, keys, score, traits
from imports.spill import Spill, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOCK_MAX = 30
"""Of more who have one thing in common, those known first are compared."""

TOLD_MAX = 5
"""So many candidates of a row are told, the likest first."""


class Measure(NamedTuple):
    """How two are compared, and how alike they have to be."""

    weights: Mapping[Compared, float]
    at_least: float


class Note(NamedTuple):
    """What is said of somebody: by the log, or by a row."""

    id: UUID
    kind: str
    said: Mapping[str, Any]
    row: int | None = None
    """In the file of this import, if it comes from there."""
    measure: Measure | None = None
    """How to look for whoever it may be; None: it is not looked for."""
    stays: bool = True
    """Whether it is known from now on; what is neither looked for nor stays is forgotten."""


class Somebody(NamedTuple):
    """A record that is known."""

    id: UUID
    kind: str
    row: int | None
    traits: Traits


class Candidate(NamedTuple):
    """A record that a row may be another of."""

    of: Somebody
    score: float
    likeness: dict[Compared, float]

    @property
    def why(self) -> str:
        """What is how alike, such as `name 0.94, phone 1.00`."""
        return ", ".join(f"{field} {share:.2f}" for field, share in self.likeness.items())


class Known:
    """Takes notes one after the other, and answers who each may be of those before it."""

    def __init__(self) -> None:
        self.spill = Spill()
        self._number = 0
        self._answer: list[list[Candidate]] = []

    @property
    def blank(self) -> bool:
        """Whether nobody is known yet."""
        return not self._number

    def ask(self, notes: Sequence[Note]) -> None:
        """Take notes."""
        self._answer = [self._take(note) for note in notes]

    def answer(self) -> list[list[Candidate]]:
        """Who each of the notes taken last may be, the likest first."""
        return self._answer

    def close(self) -> None:
        """There is nothing to end."""

    def _take(self, note: Note) -> list[Candidate]:
        wanted = traits(note.said)
        hashes = self._hashes(wanted)
        found = self._like(note, note.measure, wanted, hashes) if note.measure else []
        if note.stays:
            self._meet(note, wanted, hashes)
        elif note.measure is None:
            self._forget(self._key(note.id))
        return found

    def _like(
        self, note: Note, measure: Measure, wanted: Traits, hashes: Sequence[int]
    ) -> list[Candidate]:
        found: list[Candidate] = []
        for id_, *rest in self.spill.near(hashes, BLOCK_MAX):
            share, each = score(wanted, rest[-1], measure.weights)
            if share >= measure.at_least and id_ != note.id.bytes:
                found.append(Candidate(Somebody(UUID(bytes=id_), *rest), share, each))
        return sorted(found, key=lambda one: (-one.score, one.of.id))[:TOLD_MAX]

    def _meet(self, note: Note, given: Traits, hashes: list[int]) -> None:
        """Know a record, or what is new about it."""
        newest = self._number
        key, row = self._key(note.id), note.row
        known = self.spill.get(key) if key <= newest else None
        if known is not None:
            self._forget(key)
            *_, row, before = known
            kept = {name: trait for name, trait in before.items() if name not in note.said}
            given = {**kept, **given}
            hashes = self._hashes(given)
        self.spill.put(key, (note.id.bytes, note.kind, row, given))
        self.spill.block(key, hashes)

    def _forget(self, key: int) -> None:
        if known := self.spill.get(key):
            self.spill.drop(key, self._hashes(known[-1]))

    def _key(self, id_: UUID) -> int:
        """A number for each record, rising in the order they became known."""
        number = self.spill.set_default(key_of(id_), self._number + 1)
        self._number = max(self._number, number)
        return number

    def _hashes(self, known: Traits) -> list[int]:
        return [self.spill.hash(key) for key in keys(known)]


class KnownApart:
    """The same in a process of its own, which looks for some rows while the next are imported."""

    def __init__(self) -> None:
        self._process = apart.Process("imports.known_child")

    def ask(self, notes: Sequence[Note]) -> None:
        """Hand over notes; the answer to those before has to be taken first."""
        self._process.say(notes)

    def answer(self) -> list[list[Candidate]]:
        """Who each of the notes handed over last may be; waits for it."""
        found: list[list[Candidate]] = self._process.hear()
        return found

    def close(self) -> None:
        """End the process."""
        self._process.end()
