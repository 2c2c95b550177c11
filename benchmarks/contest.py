"""Contestants measured in turn on one machine, over one PostgreSQL, each in processes of its own.

All of them are children of this process and only one runs at a time: what children use is what
the contestant uses, its share of PostgreSQL included.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import duckdb
import psutil
import psycopg

from eventstore.postgres import EmbeddedPostgres, with_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from benchmarks.base import Options

ROOT = Path(__file__).parent.parent
WARM_UP_SECONDS = 1.0
STOP_SECONDS = 60

Sample = dict[str, float]


class Skipped(Exception):
    """A contestant is not to be had here; the message says what it lacks."""


class Ground:
    """Where the contestants meet: one PostgreSQL, a directory, and the time that each has."""

    def __init__(self, directory: Path, url: str, options: Options) -> None:
        self.directory = directory
        self.url = url
        self.seconds = options.seconds
        self.warm_up = min(WARM_UP_SECONDS, options.seconds)
        self.databases: list[str] = []

    @classmethod
    @contextmanager
    def prepared(cls, options: Options) -> Iterator[Ground]:
        """A ground with an embedded PostgreSQL of its own, gone afterwards."""
        with (
            tempfile.TemporaryDirectory(prefix="backstory-benchmark-") as name,
            EmbeddedPostgres(Path(name) / "postgres") as server,
        ):
            yield cls(Path(name), server.url, options)

    def database(self) -> str:
        """An empty database."""
        name = f"contest_{uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        self.databases.append(name)
        return with_database(self.url, name)

    def folder(self) -> Path:
        """An empty directory."""
        return Path(tempfile.mkdtemp(dir=self.directory))


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do the work.

    `stage` brings up what is needed on an empty database and gives the command of the driver,
    the process that asks for the work. `alone` says that the driver is no client but does the
    work itself. `counts` is SQL that counts the events in the database afterwards.
    """

    name: str
    stage: Callable[[Ground, str], AbstractContextManager[list[str]]]
    alone: bool = False
    counts: str = ""

    def measure(self, ground: Ground) -> Sample:
        """One run."""
        url = ground.database()
        with self.stage(ground, url) as command:
            times = [str(ground.seconds), str(ground.warm_up)]
            asking = [*command, *times]
            with psutil.Popen(asking, stdout=subprocess.PIPE, text=True, cwd=ROOT) as driver:
                if driver.stdout.readline() != "go\n":
                    raise RuntimeError(f"{self.name} did not begin")
                before = self._cpu_seconds(driver)
                line = driver.stdout.readline()
                used = self._cpu_seconds(driver) - before
            sample: Sample = json.loads(line)
            if self.counts:
                self._check(url, sample["answers"])
        return sample | {"cpu_ms_per_command": used * 1000 / sample["answers"]}

    def _cpu_seconds(self, driver: psutil.Popen) -> float:
        """What all children have used so far, but for a driver that is only a client."""
        used = 0.0
        for process in psutil.Process().children(recursive=True):
            if self.alone or process.pid != driver.pid:
                with suppress(psutil.NoSuchProcess):
                    used += sum(process.cpu_times()[:4])
        return used

    def _check(self, url: str, answers: float) -> None:
        with psycopg.connect(url) as connection:
            row = connection.execute(self.counts.encode()).fetchone()
        assert row is not None
        assert row[0] >= answers, f"{self.name}: {answers} answers, {row[0]} events"


def alternate(
    contestants: Sequence[Contestant], ground: Ground, rounds: int, say: Callable[[str], None]
) -> dict[str, list[Sample]]:
    """Every contestant in turn, and again."""
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    for number in range(1, rounds + 1):
        for contestant in contestants:
            say(f"round {number} of {rounds}: {contestant.name}")
            samples[contestant.name].append(contestant.measure(ground))
    return samples


def best(
    contestants: Sequence[Contestant], ground: Ground, say: Callable[[str], None]
) -> tuple[Contestant, str]:
    """The fastest of several settings of one contestant, and how they did."""
    if len(contestants) == 1:
        return contestants[0], contestants[0].name
    rates = []
    for contestant in contestants:
        say(f"trying {contestant.name}")
        rates.append(contestant.measure(ground)["per_second"])
    told = ", ".join(
        f"{contestant.name} {rate:,.0f}/s"
        for contestant, rate in zip(contestants, rates, strict=True)
    )
    return contestants[rates.index(max(rates))], told


def medians(samples: Sequence[Sample]) -> Sample:
    """Figure by figure, the median of several runs."""
    return {
        unit: statistics.median(sample[unit] for sample in samples)
        for unit in ("per_second", "p50_ms", "p99_ms", "cpu_ms_per_command")
    }


def ready() -> None:
    """Let DuckDB import what it imports with the first value it is given.

    That is 0.4 seconds where pandas is there, once a process, and no part of what is measured.
    """
    duckdb.execute("SELECT ?", [0])


class Server:
    """A server under way: what it says, and the end of it."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
            )

    def hear(self) -> str:
        """The next line it says on standard output; it has to say one."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended:\n{self.log.read_text()}")
        return line.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait(STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
