"""`learn`: let the learners say what they have to say of the log, and end."""

from __future__ import annotations

import logging

import structlog
import typer

from cli import show
from cli.bar import bar
from cli.options import DEFAULT_DATA, Data, DatabaseUrl, examples
from cli.session import AlreadyServed, session
from learning import LEARNERS
from learning.follower import catch_up

app = typer.Typer()


@app.command(epilog=examples("backstory learn", "backstory learn --data /var/lib/backstory"))
def learn(*, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None) -> None:
    """Let the learners follow the log to its end; a server does so by itself."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with session(data, database_url, "learn", show.say) as opened:
        if opened.live:
            raise AlreadyServed(f"{data} is served at {opened.live.url}: its learners are at work")
        with bar(show.console(stderr=True), "Learners follow the log") as advance:
            advance(0, opened.workspace.log.last_position() * len(LEARNERS))
            catch_up(opened.workspace, LEARNERS, advance)
