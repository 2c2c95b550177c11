"""`backstory demo`: a made-up company's two years, and a tour of what can be asked of them."""

from __future__ import annotations

import json
import logging
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

from cli import show
from cli.bar import Advance, bar, reached
from cli.demo.history import history, tell
from cli.demo.tour import tour
from cli.options import DEFAULT_DATA, DEFAULT_ZONE, Data, DatabaseUrl, examples
from cli.serve import run, site
from cli.session import embedded, reachable
from eventstore.logs import configure
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from learning import LEARNERS
from learning.follower import catch_up as catch_up_learning
from replay.rebuild import open_renewed, rebuild
from replay.tables import Here, catch_up
from replay.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console


app = typer.Typer()

HOST = "127.0.0.1"


@app.command(
    epilog=examples(
        "backstory demo",
        "backstory demo --port 8080",
        "backstory demo --once",
        "backstory demo --once --json --data /tmp/demo",
        "backstory demo --until 2026-01-01",
    )
)
def demo(
    *,
    once: Annotated[bool, typer.Option(help="End after the tour; no server stays up.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print one object.")] = False,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day of the history; default: yesterday."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Of the server that stays; 0 takes a free one."),
    ] = 8000,
    data: Data = DEFAULT_DATA,
    database_url: DatabaseUrl = None,
) -> None:
    """Tell two years of a made-up company, then show what can be asked of them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = show.console(stderr=as_json)
    end = (until or datetime.now(UTC)).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC
    )
    with site(data, "demo", HOST, 0 if once else port) as (stack, listening):
        url = reachable(database_url) if database_url else embedded(stack, data)
        with Workspace.open(data, url) as workspace:
            demonstration = Demonstration(workspace, console, end)
            demonstration.run()
        if as_json:
            typer.echo(json.dumps(demonstration.result()))
        if once:
            raise typer.Exit(0 if demonstration.good else 1)
        _invite(console, listening.getsockname()[1])
        configure(quiet=True)
        run(data, url, listening, zone=DEFAULT_ZONE, anchors=())


@dataclass
class Demonstration:
    """The demo of one workspace, step by step, each timed."""

    workspace: Workspace
    console: Console
    end: datetime
    seconds: dict[str, float] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    digests_equal: bool = False
    findings: list[str] = field(default_factory=list)
    events: int = 0

    @property
    def good(self) -> bool:
        """Whether what was rebuilt is what was there, and nothing was found."""
        return self.digests_equal and not self.findings

    def run(self) -> None:
        """Tell, learn, project, show, rebuild, verify."""
        with self._step("tell", "Telling two years to the log") as progress:
            steps = history(self.end)
            progress(0, len(steps))
            with Writer(self.workspace.log) as writer:
                tell(steps, writer, progress)
        with self._step("learn", "Learners follow the log") as progress:
            progress(0, self.workspace.log.last_position() * len(LEARNERS))
            catch_up_learning(self.workspace, LEARNERS, progress)
        with closing(open_renewed(self.workspace)) as tables:
            last = self.workspace.log.last_position()
            self.events = self._count()
            with self._step("project", "Tables follow the log") as progress:
                progress(0, last)
                catch_up(tables, self.workspace.log, last, reached(progress))
            tour(self.console, tables.database, self.end)
            self.console.print()
            self._verify(Here(tables.database))
        with self._step("rebuild", "Rebuilding the tables beside the old") as progress:
            progress(0, last)
            rebuilt = rebuild(self.workspace, reached(progress))
        self.digests_equal = bool(rebuilt.same) and all(rebuilt.same.values())
        self._conclude(len(rebuilt.same))

    def _count(self) -> int:
        with self.workspace.log.cursor() as cursor:
            found = cursor.execute("SELECT count(*) AS events FROM log_events").fetchone()
        return int(found["events"]) if found else 0

    def _verify(self, here: Here) -> None:
        with self._step("verify", "Verifying from the log, in an empty directory") as progress:
            progress(0, self.workspace.log.last_position())
            verdict = verify(self.workspace, here, models=True, progress=reached(progress))
        self.digests = verdict.digests
        self.findings = [finding.what for finding in verdict.findings]

    @contextmanager
    def _step(self, name: str, text: str) -> Iterator[Advance]:
        """A bar on the console, and the time it took."""
        began = time.monotonic()
        with bar(self.console, text) as advance:
            yield advance
        self.seconds[name] = round(time.monotonic() - began, 3)

    def _conclude(self, tables: int) -> None:
        answer = "equal" if self.digests_equal else "NOT EQUAL"
        self.console.print(f"\n{tables} tables, live and rebuilt: digests [bold]{answer}[/].")
        for found in self.findings:
            self.console.print(f"[red]verify found:[/] {found}")

    def result(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "events": self.events,
            "seconds": self.seconds,
            "digests": self.digests,
            "digests_equal": self.digests_equal,
            "findings": self.findings,
        }


def _invite(console: Console, port: int) -> None:
    console.print("\nThe server stays up until Ctrl-C. In another terminal, try:")
    for line in (
        "backstory sql 'FROM lead_board() LIMIT 5'",
        "backstory sql 'SELECT stage, count(*) FROM deal GROUP BY stage' --as-of 2026-01-01",
        "backstory verify --models",
        f"curl -H 'Authorization: Bearer KEY' http://{HOST}:{port}/leads/board",
    ):
        console.print(f"  [green]$ {line}[/]")
    console.print()
