"""How long after its commit an event is seen in the tables, and how long after it a score is.

python -m benchmarks.live DIRECTORY URL SECONDS        the node that is looked at
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
from eventstore.envelope import uuid7
from eventstore.logs import configure
from eventstore.writer import Context, Receipt

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from commands.base import Command
    from domain.lead import Lead

COMMANDS_PER_SECOND = 50
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
        folder = ground.folder()
        command = [sys.executable, "-m", "benchmarks.live", str(folder), ground.database()]
        with (folder / "live.log").open("wb") as log:
            done = subprocess.run(
                [*command, str(seconds)], stdout=subprocess.PIPE, stderr=log, cwd=ROOT, check=True
            )
    waits: dict[str, list[float]] = json.loads(done.stdout)
    report.figures = {name: spread(each) for name, each in waits.items()}
    report.notes.append(f"{len(waits['rows'])} commands, {COMMANDS_PER_SECOND} a second")
    report.must = [
        Must(f"seconds until {name} are seen, p99", percentile(each, 0.99), at_most=1.0)
        for name, each in waits.items()
    ]
    return report


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

    def capture(self) -> Future[Receipt]:
        """Capture and qualify a lead; the answer is that to the second."""
        self._number += 1
        lead = uuid7()
        asked = capture(f"{self._number:08}")

        def ask(command: Command[Lead]) -> Future[Receipt]:
            return handle(self.node.writer, command, lead, Context(SYSTEM, uuid7()))

        first = ask(CaptureLead(**asked))
        first.add_done_callback(self._note_capture)
        second = ask(QualifyLead.model_validate(QUALIFY))
        second.add_done_callback(self._note)
        return second

    def _note(self, answer: Future[Receipt]) -> None:
        self.committed[answer.result().position] = time.perf_counter()

    def _note_capture(self, answer: Future[Receipt]) -> None:
        self._note(answer)
        self.captured.add(answer.result().position)

    def play(self, seconds: float) -> None:
        """Commands at a steady pace, however long each takes."""
        began = time.perf_counter()
        last = self.capture()
        for number in range(1, int(seconds * COMMANDS_PER_SECOND / 2)):
            left = began + number * 2 / COMMANDS_PER_SECOND - time.perf_counter()
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
    folder, url, seconds = sys.argv[1:]
    configure()
    with (
        Node.open(Path(folder), url) as node,
        Learners(Path(folder), url),
        Stage(node) as stage,
    ):
        stage.capture().result(SEEN_SECONDS_MAX)
        stage.wait_for_scores()
        stage.committed.clear()
        stage.play(float(seconds))
        stage.wait_for_scores()
        print(json.dumps({"rows": stage.row_waits(), "scores": stage.score_waits()}))


if __name__ == "__main__":
    main()
