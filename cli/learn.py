"""`learn`: let the learners say what they have to say of the log, and end."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import structlog
import typer

from cli import show
from cli.bar import bar, reached
from cli.options import DEFAULT_DATA, Data, DatabaseUrl, examples
from cli.session import Live, SessionError, session
from learning import LEARNERS
from learning.follower import bookmark_of, catch_up

if TYPE_CHECKING:
    from pathlib import Path

    from cli.bar import Advance
    from eventstore.log import Log

app = typer.Typer()

LOOK_SECONDS = 0.2


class ServerEnded(SessionError):
    """The server whose learners were waited for is gone."""


@app.command(epilog=examples("backstory learn", "backstory learn --data /var/lib/backstory"))
def learn(*, data: Data = DEFAULT_DATA, database_url: DatabaseUrl = None) -> None:
    """Let the learners follow the log to its end; beside a server, wait until its own have."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with (
        session(data, database_url, "learn", show.say) as opened,
        bar(show.console(stderr=True), "Learners follow the log") as advance,
    ):
        if opened.live:
            _wait(opened.workspace.log, data, opened.live, advance)
        else:
            advance(0, opened.workspace.log.last_position() * len(LEARNERS))
            catch_up(opened.workspace, LEARNERS, advance)


def _wait(log: Log, data: Path, live: Live, advance: Advance) -> None:
    """Until the learners of a server have come to where the log ends now."""
    end = log.last_position()
    advance(0, end * len(LEARNERS))
    at = reached(advance)
    while True:
        bookmarks = [min(bookmark_of(log, learner()), end) for learner in LEARNERS]
        at(sum(bookmarks))
        if min(bookmarks) >= end:
            return
        if Live.read(data) != live:
            raise ServerEnded(f"the server of {data} ended; ask again, and they go on here")
        time.sleep(LOOK_SECONDS)
