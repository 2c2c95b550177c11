"""Audit: the tree over the log computed anew from the rows, and held against what was signed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from eventstore.anchor import FILE, notes
from eventstore.notes import NoteWrong, SigningKeys
from eventstore.tree import WIDTH, Checkpoint, Tiles, TreeDamaged, hashes
from replay.recompute import BEFORE_ALL, Recomputed, hashed, inner_tiles, pages
from replay.tables import unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from eventstore.notes import Verifier
    from eventstore.workspace import Workspace
    from replay.recompute import Rows
    from replay.tables import Progress

Kind = Literal["checkpoint", "event", "missing", "tree"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was signed, and the first position where that shows."""

    kind: Kind
    what: str
    position: int | None = None


@dataclass(slots=True)
class Audit:
    """What was checked, and what was found."""

    size: int = 0
    """How many events the newest checkpoint covers."""
    position: int | None = None
    """The last of them."""
    root: str | None = None
    checkpoints: int = 0
    """How many checkpoints were checked, the newest of the database among them."""
    tail_events: int = 0
    tail: tuple[int, int] | None = None
    """First and last position of the events that are not sealed yet."""
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything is as it was signed."""
        return not self.findings

    def told(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {"good": self.good, **asdict(self)}


def audit(
    rows: Rows,
    cursor: Cursor[DictRow],
    verifiers: Sequence[Verifier],
    held: Iterable[str] = (),
    progress: Progress = unseen,
) -> Audit:
    """Compute the tree anew and compare it with every checkpoint: the newest, and those `held`.

    `held` are notes from elsewhere. The rows have to be read as of one moment, or by one who
    knows that the log only grows.
    """
    began = time.monotonic()
    run = _Run(rows, Tiles(cursor), verifiers)
    run.read_checkpoints(held)
    run.recompute(progress)
    run.compare()
    run.look_at_the_rest(cursor)
    run.found.seconds = round(time.monotonic() - began, 3)
    return run.found


def audit_workspace(
    workspace: Workspace,
    held: Sequence[str] = (),
    verifiers: Sequence[Verifier] = (),
    progress: Progress = unseen,
) -> Audit:
    """Audit a workspace beside the checkpoints kept in its directory, and those `held`.

    `verifiers` are the keys to trust; without any, those of the workspace itself.
    """
    log = workspace.log
    trusted = verifiers or SigningKeys.of(workspace.directory).verifiers
    path = workspace.directory / FILE
    kept = [*notes(path)] if path.exists() else []
    with log.cursor() as cursor:
        return audit(log.read_arrow, cursor, trusted, [*held, *kept], progress)


class _Run:
    """One audit under way."""

    def __init__(self, rows: Rows, tiles: Tiles, verifiers: Sequence[Verifier]) -> None:
        self.rows = rows
        self.tiles = tiles
        self.verifiers = verifiers
        self.found = Audit()
        self.newest: Checkpoint | None = None
        self.signed: list[Checkpoint] = []
        self.ends: dict[int, int] = {}
        self.first_bad: tuple[int, int] | None = None
        """The first leaf that is not as the tree in the database says, and its position."""
        self.wrong_start: tuple[int, int] | None = None
        """The first tile that says it begins at another position than it does, and that one."""

    def find(self, kind: Kind, what: str, position: int | None = None) -> None:
        self.found.findings.append(Finding(kind, what, position))

    def read_checkpoints(self, held: Iterable[str]) -> None:
        """Every checkpoint that a trusted key has signed."""
        sealed = self.tiles.sealed()
        if sealed is not None:
            self.newest = self._parsed(sealed.note, "the newest checkpoint")
            self.found.position = sealed.position
            if self.newest is not None and self.newest.size != sealed.size:
                self.find("checkpoint", "the newest checkpoint is not about as many events as said")
        elif self.tiles.tile(0, 0):
            self.find("checkpoint", "the newest checkpoint was taken away")
        elsewhere = [self._parsed(note, "a checkpoint held elsewhere") for note in held]
        unique = {(c.size, c.root): c for c in (self.newest, *elsewhere) if c is not None}
        self.signed = sorted(unique.values(), key=lambda checkpoint: checkpoint.size)
        self.found.checkpoints = len(self.signed)
        if self.newest is not None:
            self.found.size = self.newest.size
            self.found.root = self.newest.root_text
        largest = self.signed[-1].size if self.signed else 0
        if sealed is None and largest:
            self.find(
                "checkpoint",
                f"the database holds no checkpoint, but one over {largest} events was signed",
            )
        elif self.newest is not None and largest > self.newest.size:
            self.find(
                "checkpoint",
                f"a checkpoint over {largest} events was signed; the newest in the database "
                f"covers {self.newest.size}",
            )

    def _parsed(self, note: str, what: str) -> Checkpoint | None:
        try:
            return Checkpoint.parse(note, self.verifiers)
        except NoteWrong as wrong:
            self.find("checkpoint", f"{what} does not count: {wrong}")
            return None

    def recompute(self, progress: Progress) -> None:
        """Hash the rows that checkpoints cover."""
        sizes = [checkpoint.size for checkpoint in self.signed]
        self.tree = Recomputed(sizes)
        after = BEFORE_ALL
        for page in pages(self.rows, max(sizes, default=0)):
            positions = page["position"]
            leaves = hashed(page)
            first = self.tree.size
            self.tree.extend(leaves)
            for size in sizes:
                if first < size <= self.tree.size:
                    self.ends[size] = positions[size - first - 1].as_py()
            self._beside_the_tiles(first, leaves, positions)
            after = positions[-1].as_py()
            progress(after)

    def _beside_the_tiles(self, first: int, leaves: Sequence[bytes], positions: Any) -> None:
        if self.first_bad is not None:
            return
        end = min(first + len(leaves), self.found.size)
        self._beside_the_starts(first, end, positions)
        kept = self.tiles.leaves(first, end)
        if end <= first or b"".join(leaves[: end - first]) == kept:
            return
        there = [*hashes(kept), *([b""] * (end - first))]
        at = next(n for n, (ours, theirs) in enumerate(zip(leaves, there)) if ours != theirs)  # noqa: B905 - one is longer
        self.first_bad = first + at, positions[at].as_py()

    def _beside_the_starts(self, first: int, end: int, positions: Any) -> None:
        """Proofs count leaves from the position that a tile says it begins at."""
        if self.wrong_start is not None or end <= first:
            return
        there = positions.take(list(range(0, end - first, WIDTH))).to_pylist()
        said = self.tiles.starts(first, end)
        for number, (ours, theirs) in enumerate(zip_longest(there, said), start=first // WIDTH):
            if ours != theirs and ours is not None:
                self.wrong_start = number, ours
                return

    def compare(self) -> None:
        """Hold the rows against each checkpoint, and name where they first part."""
        good_until = 0
        for checkpoint in self.signed:
            if self.tree.size < checkpoint.size:
                self._too_short(checkpoint)
                return
            if self.tree.root(checkpoint.size) != checkpoint.root:
                self._altered(good_until, checkpoint)
                return
            good_until = checkpoint.size
        if self.newest is None:
            return
        if self.ends.get(self.newest.size, 0) != self.found.position:
            self.find("tree", "the newest checkpoint does not end at the position it says")
        if self.first_bad is not None:
            leaf, position = self.first_bad
            self.find(
                "tree",
                "the events are as they were signed, but the table log_tile is not: "
                f"it differs at leaf {leaf}",
                position,
            )
        elif self.wrong_start is not None:
            number, position = self.wrong_start
            self.find(
                "tree",
                "the events are as they were signed, but the table log_tile is not: "
                f"tile {number} says it begins elsewhere than at position {position}",
                position,
            )
        elif not self._tiles_lead_to_the_root():
            self.find("tree", "the events are as they were signed, but the table log_tile is not")

    def _too_short(self, checkpoint: Checkpoint) -> None:
        missing = checkpoint.size - self.tree.size
        if self.first_bad is not None and self._tiles_lead_to_the_root():
            self._first_event(*self.first_bad)
        self.find(
            "missing",
            f"{missing} of {checkpoint.size} events that were signed are missing: "
            f"there are {self.tree.size}",
        )

    def _altered(self, good_until: int, checkpoint: Checkpoint) -> None:
        if self.first_bad is not None and self._tiles_lead_to_the_root():
            self._first_event(*self.first_bad)
            return
        after, until = self.ends.get(good_until), self.ends[checkpoint.size]
        since = f"after position {after} " if after is not None else ""
        self.find(
            "event",
            f"history was rewritten {since}up to position {until}: the events do not lead to the "
            f"root over {checkpoint.size} events that was signed",
            self.first_bad[1] if self.first_bad else None,
        )

    def _first_event(self, leaf: int, position: int) -> None:
        self.find(
            "event",
            f"the event at position {position} is not the one that was sealed as leaf {leaf}: it "
            "was altered, put there, or one before it was taken away",
            position,
        )

    def _tiles_lead_to_the_root(self) -> bool:
        if self.newest is None:
            return False
        try:
            return self.tiles.root(self.newest.size) == self.newest.root and not any(
                self.tiles.tile(level, number) != self.tree.tile(level, number)
                for level, number in inner_tiles(self.newest.size)
                if self.first_bad is None
            )
        except TreeDamaged:
            return False

    def look_at_the_rest(self, cursor: Cursor[DictRow]) -> None:
        """What is not sealed yet; and whether anything stands where no page shows it."""
        last = self.ends.get(self.found.size, BEFORE_ALL)
        cursor.execute(
            "SELECT count(*) FILTER (WHERE notification_id <= %s) AS sealed, "
            "count(*) FILTER (WHERE notification_id > %s) AS tail, "
            "min(notification_id) FILTER (WHERE notification_id > %s) AS first, "
            "max(notification_id) AS last FROM log_events",
            (last, last, last),
        )
        row = cursor.fetchone()
        if row is None:
            return
        self.found.tail_events = row["tail"]
        self.found.tail = (row["first"], row["last"]) if row["tail"] else None
        if self.found.good and row["sealed"] != self.found.size:
            self.find("event", "events stand at positions that other events have")
