"""What an import did: counts, and the rows it could not take."""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from uuid import UUID

    from psycopg.rows import DictRow

    from imports.files import Line
    from imports.known import Candidate
    from imports.recipe import Step


@dataclass(slots=True)
class Tally:
    """Counts of one step, or of all."""

    rows: int = 0
    imported: int = 0
    changed: int = 0
    unchanged: int = 0
    """Rows of which everything was there already."""
    failed: int = 0
    commands: int = 0
    """Commands that did something."""
    skipped: int = 0
    """Commands that had been obeyed before, or wished for what was true already."""
    events: int = 0
    similar: int = 0
    """New rows that may be records there are already."""
    left_out: int = 0
    """Those of them that were not imported for that."""
    clipped: int = 0
    """Events dated before one that their record has already: they take effect only after it."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Tally)))


@dataclass
class Summary:
    """What an import did, in all and step by step."""

    recipe: str
    run: UUID
    steps: dict[str, Tally] = field(default_factory=dict)
    seconds: float = 0.0
    _began: float = field(default_factory=time.perf_counter, repr=False)

    @property
    def total(self) -> Tally:
        """The sum of all steps."""
        return sum(self.steps.values(), Tally())

    @property
    def rows_per_second(self) -> float:
        """How fast it went, from beginning to end."""
        return round(self.total.rows / self.seconds, 1) if self.seconds else 0.0

    def end(self) -> None:
        """Stop the clock."""
        self.seconds = round(time.perf_counter() - self._began, 3)

    def as_dict(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "recipe": self.recipe,
            "run": self.run,
            **_counts(self.total),
            "seconds": self.seconds,
            "rows_per_second": self.rows_per_second,
            "steps": {name: _counts(tally) for name, tally in self.steps.items()},
        }


def _counts(tally: Tally) -> dict[str, int]:
    return {f.name: getattr(tally, f.name) for f in fields(Tally)}


class Sheet:
    """A CSV file that says something about rows; made when there is something to say."""

    HEADER: tuple[str, ...] = ()

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.count = 0
        self._file: TextIO | None = None

    @property
    def made(self) -> Path | None:
        """The file, if there was a reason to make it."""
        return self.path if self.count else None

    def write(self, *cells: object) -> None:
        """One more line; without a path it is only counted."""
        self.count += 1
        if self.path is None:
            return
        if self._file is None:
            self._file = self.path.open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            )
            csv.writer(self._file).writerow(self.HEADER)
        csv.writer(self._file).writerow(cells)

    def __enter__(self) -> Self:
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Errors(Sheet):
    """The rows that were not taken, or not whole."""

    HEADER = ("file", "row", "step", "reason", "record")

    def add(self, step: Step, line: Line, reason: str) -> None:
        """Note why a row was not taken, with the row as it stands in its file."""
        self.write(step.file or "", line.number, step.name, reason, line.told)


class Candidates(Sheet):
    """The records that rows may be others of: the file holds who, and should be kept as such."""

    HEADER = (
        *("file", "row", "step", "then", "score", "why"),
        *("candidate", "candidate_id", "candidate_row", "record"),
    )

    def add(self, step: Step, line: Line, then: str, found: Candidate) -> None:
        """Note what a row is like, how much so, and why; with the row as it stands in its file."""
        somebody = found.of
        share, row = f"{found.score:.3f}", somebody.row or ""
        who = (somebody.kind, somebody.id, row, line.told)
        self.write(step.file or "", line.number, step.name, then, share, found.why, *who)


class Kept(Sheet):
    """The records that were left as they are, or not restored whole, and why."""

    HEADER = ("kind", "id", "why", "event", "by", "at", "position")
    SHOWN_MAX = 20

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.first: list[dict[str, Any]] = []
        """Some of them, to be shown at once."""

    def add(self, kind: str, id: UUID, why: str, event: DictRow | None = None) -> None:
        """Note one; `event` is what stands in the way."""
        told = event or {}
        by = (told.get("topic"), told.get("actor"), told.get("recorded_at"), told.get("position"))
        if len(self.first) < self.SHOWN_MAX:
            self.first.append(dict(zip(self.HEADER, (kind, id, why, *by), strict=True)))
        self.write(kind, id, why, *("" if one is None else one for one in by))


class Progress:
    """Hears how an import gets on; this one keeps it to itself."""

    def known(self, events: int) -> None:
        """So many more events were looked at for who is known."""

    def begin(self, step: str, characters: int) -> None:
        """A step began, on a file of that size."""

    def read(self, characters: int) -> None:
        """So much more was read."""

    def done(self, rows: int) -> None:
        """So many more rows were dealt with."""

    def end(self) -> None:
        """The step ended."""
