"""How long after its commit an event is seen in the tables, and how long after it a score is.

python -m benchmarks.live DIRECTORY URL SECONDS PACE        the node that is looked at
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Self

from api.node import Node
from benchmarks.base import Must, Options, Report, percentile
from benchmarks.contest import ROOT, Ground
from benchmarks.leads import QUALIFY, capture
from cli.background import Learners
from commands.base import handle
from commands.lead import CaptureLead, QualifyLead
from domain.user import SYSTEM
from eventstore.collector import collect_seldom
from eventstore.envelope import uuid7
from eventstore.logs import configure
from eventstore.writer import Context

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.base import Command
    from domain.lead import Lead
    from eventstore.promise import Promise

COMMANDS_PER_SECOND = 500
P50_MS_MAX, P99_MS_MAX = 100.0, 300.0
SCORE_P99_MS_MAX = 1_000.0
SCORED_COMMANDS_PER_SECOND = 50
"""Learners learn from each event in turn, on the one core that the node leaves them here."""
LOOK_SECONDS = 0.002
SEEN_SECONDS_MAX = 60.0
"""The process of the learners has to start first."""

SCORES = "SELECT cause_position, position FROM score_change WHERE learner = 'lead_conversion'"


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Commands at a steady pace, with the follower and the learners as they run in a server."""
    report = Report("live")
    seconds = options.seconds * options.rounds
    with Ground.prepared(options) as ground:
        say(f"{COMMANDS_PER_SECOND} commands a second")
        rows = waited(ground, seconds, COMMANDS_PER_SECOND)["rows"]
        say(f"{SCORED_COMMANDS_PER_SECOND} commands a second")
        scores = waited(ground, seconds, SCORED_COMMANDS_PER_SECOND)["scores"]
    report.figures = {
        f"rows, {COMMANDS_PER_SECOND} commands a second": spread(rows),
        f"scores, {SCORED_COMMANDS_PER_SECOND} commands a second": spread(scores),
    }
    report.notes.append(f"{len(rows)} commands, then {len(scores)} scores")
    report.must = [
        Must("ms until rows are seen, p50", percentile(rows, 0.5) * 1000, at_most=P50_MS_MAX),
        Must("ms until rows are seen, p99", percentile(rows, 0.99) * 1000, at_most=P99_MS_MAX),
        Must(
            "ms until scores are seen, p99",
            percentile(scores, 0.99) * 1000,
            at_most=SCORE_P99_MS_MAX,
        ),
    ]
    return report


def waited(ground: Ground, seconds: float, pace: int) -> dict[str, list[float]]:
    """Seconds until each row, and each score, was seen, at so many commands a second."""
    folder = ground.folder()
    command = [sys.executable, "-m", "benchmarks.live", str(folder), ground.database()]
    with (folder / "live.log").open("wb") as log:
        done = subprocess.run(
            [*command, str(seconds), str(pace)],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
            check=True,
        )
    waits: dict[str, list[float]] = json.loads(done.stdout)
    return waits


def spread(waits: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds."""
    return {f"p{share}_ms": percentile(waits, share / 100) * 1000 for share in (50, 99)}


class Stage:
    """A node at work, and a thread that looks at what position its readers see."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.committed: dict[int, float] = {}
        self.captured: set[int] = set()
        self.times: list[float] = []
        self.positions: list[int] = []
        self._number = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            position = self.node.tables.position
            if not self.positions or position > self.positions[-1]:
                self.times.append(time.perf_counter())
                self.positions.append(position)

    def capture(self) -> Promise:
        """Capture and qualify a lead; the answer is that to the second."""
        self._number += 1
        lead = uuid7()
        asked = capture(f"{self._number:08}")

        def ask(command: Command[Lead]) -> Promise:
            return handle(self.node.writer, command, lead, Context(SYSTEM, uuid7()))

        first = ask(CaptureLead(**asked))
        first.add_done_callback(self._note_capture)
        second = ask(QualifyLead.model_validate(QUALIFY))
        second.add_done_callback(self._note)
        return second

    def _note(self, answer: Promise) -> None:
        self.committed[answer.result().position] = time.perf_counter()

    def _note_capture(self, answer: Promise) -> None:
        self._note(answer)
        self.captured.add(answer.result().position)

    def play(self, seconds: float, pace: int) -> None:
        """Commands at a steady pace, however long each takes."""
        began = time.perf_counter()
        last = self.capture()
        for number in range(1, int(seconds * pace / 2)):
            left = began + number * 2 / pace - time.perf_counter()
            time.sleep(max(0.0, left))
            last = self.capture()
        last.result(SEEN_SECONDS_MAX)

    def wait_for_scores(self) -> None:
        """Wait until every lead captured so far has a score in the tables."""
        deadline = time.monotonic() + SEEN_SECONDS_MAX
        while missing := self.captured - self.scored().keys():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(missing)} leads have no score yet")
            time.sleep(0.2)

    def wait_for_rows(self) -> None:
        """Wait until readers see everything that was committed."""
        deadline = time.monotonic() + SEEN_SECONDS_MAX
        while not self.positions or self.positions[-1] < max(self.committed):
            if time.monotonic() > deadline:
                raise TimeoutError(f"readers see position {self.positions[-1:]}")
            time.sleep(LOOK_SECONDS)

    def scored(self) -> dict[int, int]:
        """Positions of the captures that readers see a score for, and of the first score."""
        found: dict[int, int] = {}
        with self.node.asking() as database:
            for cause, position in database.query(SCORES).iter_rows():
                found[cause] = min(position, found.get(cause, position))
        return found

    def seen_at(self, position: int) -> float:
        """When readers first saw an event."""
        return self.times[bisect_left(self.positions, position)]

    def row_waits(self) -> list[float]:
        """From each commit to the moment readers saw the event."""
        return [self.seen_at(position) - at for position, at in self.committed.items()]

    def score_waits(self) -> list[float]:
        """From the commit of each capture to the moment readers saw its score."""
        scored = self.scored()
        return [
            self.seen_at(scored[position]) - at
            for position, at in self.committed.items()
            if position in self.captured
        ]


def main() -> None:
    """See above; prints the seconds until each row, and each score, was seen."""
    folder, url, seconds, pace = sys.argv[1:]
    configure()
    collect_seldom()
    with (
        Node.open(Path(folder), url) as node,
        Learners(Path(folder), url),
        Stage(node) as stage,
    ):
        stage.capture().result(SEEN_SECONDS_MAX)
        stage.wait_for_scores()
        stage.committed.clear()
        stage.play(float(seconds), int(pace))
        stage.wait_for_rows()
        stage.wait_for_scores()
        print(json.dumps({"rows": stage.row_waits(), "scores": stage.score_waits()}))


if __name__ == "__main__":
    main()
