"""Durable commands per second: Backstory beside what a user would build or take instead."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from benchmarks.base import Must, Options, Report, median_ratio
from benchmarks.contest import (
    Contestant,
    Ground,
    Sample,
    Server,
    Skipped,
    alternate,
    best,
    medians,
)
from benchmarks.peers import emmett, umadb
from learning import LEARNERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTIONS = 64
CALLERS = 256
POOLS = (5, 16, 32)
START_SECONDS_MAX = 60.0
PYTHON = (sys.executable, "-m")
LEAD_PATHS = ("/leads/{id}/capture", "/leads/{id}/qualify")

OVER_HTTP = "Backstory over HTTP"
DIRECT = f"Backstory without HTTP, {CALLERS} callers"
EMPTY = "empty FastAPI route"
OUR_EVENTS = "SELECT count(*) FROM backstory_default.log_events WHERE topic LIKE 'lead.%'"
THEIR_EVENTS = "SELECT count(*) FROM leads_events"


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Every contestant in turn."""
    report = Report("write")
    with Ground.prepared(options) as ground:
        served, tried = best([library_over_http(pool) for pool in POOLS], ground, say)
        report.notes.append(f"best of: {tried}")
        called, tried = best([library_alone(pool) for pool in POOLS], ground, say)
        report.notes.append(f"best of: {tried}")
        contestants = [
            Contestant(OVER_HTTP, backstory_over_http, counts=OUR_EVENTS),
            served,
            Contestant(EMPTY, empty_route),
            Contestant(DIRECT, backstory_alone, alone=True, counts=OUR_EVENTS),
            called,
            *others(options, report),
        ]
        samples = alternate(contestants, ground, options.rounds, say)
    report.figures = {name: medians(runs) for name, runs in samples.items()}
    ceiling = max(run["generator_per_cpu_second"] for run in samples[EMPTY])
    report.notes.append(f"the load generator can make {ceiling:,.0f} requests per CPU second")

    def ratio(ours: str, theirs: str) -> float:
        return median_ratio(rates(samples[ours]), rates(samples[theirs]))

    report.must = [
        Must(f"{OVER_HTTP} / FastAPI + library", ratio(OVER_HTTP, served.name), at_least=4),
        Must(f"{OVER_HTTP} / {EMPTY}", ratio(OVER_HTTP, EMPTY), at_least=0.38),
        Must(f"{DIRECT} / library's save", ratio(DIRECT, called.name), at_least=12),
    ]
    return report


def rates(samples: list[Sample]) -> list[float]:
    """Commands per second, run by run."""
    return [sample["per_second"] for sample in samples]


def others(options: Options, report: Report) -> Iterator[Contestant]:
    """Other event stores, where they are to be had."""
    for peer in (umadb, emmett):
        try:
            yield peer.contestant(CONNECTIONS, install=options.install_peers)
        except Skipped as reason:
            report.notes.append(f"skipped: {reason}")


def load(port: str, paths: tuple[str, ...], *headers: str) -> list[str]:
    """The command of the load generator."""
    command = [*PYTHON, "benchmarks.load", "--port", port, "--connections", str(CONNECTIONS)]
    for header in headers:
        command += ["--header", header]
    for path in paths:
        command += ["--post", path]
    return command


@contextmanager
def backstory_over_http(ground: Ground, url: str) -> Iterator[list[str]]:
    """`backstory serve` as it ships: keys, idempotency, follower, learners, log lines."""
    folder = ground.folder()
    serve = [*PYTHON, "cli", "serve", "--data", str(folder), "--database-url", url, "--port", "0"]
    with Server(serve, folder / "serve.log") as server:
        said = f"{server.hear()}\n{server.hear()}"
        key, port = re.search(r"bk_\S+", said), re.search(r"http://127.0.0.1:(\d+)", said)
        if key is None or port is None:
            raise RuntimeError(said)
        wait_for_followers(f"{port[0]}/health")
        headers = (f"Authorization: Bearer {key[0]}", "Idempotency-Key: {key}")
        yield load(port[1], LEAD_PATHS, *headers)


def wait_for_followers(health: str) -> None:
    """Wait until tables and learners are at work: how they start is not what is measured."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while len(httpx.get(health).json()["followers"]) < len(LEARNERS):
        if time.monotonic() > deadline:
            raise TimeoutError("the learners did not begin")
        time.sleep(0.1)


def library_over_http(pool: int) -> Contestant:
    """FastAPI and the library, as its documentation shows."""

    @contextmanager
    def stage(ground: Ground, url: str) -> Iterator[list[str]]:
        serve = [*PYTHON, "benchmarks.peers.library", "serve", url, str(pool)]
        with Server(serve, ground.folder() / "serve.log") as server:
            yield load(server.hear(), LEAD_PATHS)

    return Contestant(f"FastAPI + library, pool of {pool}", stage, counts=THEIR_EVENTS)


@contextmanager
def empty_route(ground: Ground, _: str) -> Iterator[list[str]]:
    """The same requests, and nothing done."""
    serve = [*PYTHON, "benchmarks.peers.empty"]
    with Server(serve, ground.folder() / "serve.log") as server:
        headers = ("Authorization: Bearer none", "Idempotency-Key: {key}")
        yield load(server.hear(), ("/empty",), *headers)


@contextmanager
def backstory_alone(ground: Ground, url: str) -> Iterator[list[str]]:
    """Many callers of one writer, in one process."""
    yield [*PYTHON, "benchmarks.callers", str(ground.folder()), url, str(CALLERS)]


def library_alone(pool: int) -> Contestant:
    """Many threads that call the library's `save`, in one process."""

    @contextmanager
    def stage(_: Ground, url: str) -> Iterator[list[str]]:
        yield [*PYTHON, "benchmarks.peers.library", "save", url, str(pool), str(CALLERS)]

    name = f"library's save, pool of {pool}, {CALLERS} callers"
    return Contestant(name, stage, alone=True, counts=THEIR_EVENTS)
