"""One process of Backstory: everything that runs in it, made and ended in one place."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Self

import duckdb
import structlog

from api.auth import ApiKeys
from api.events import Pulse
from api.problems import TablesRenewed
from api.questions import Questions
from eventstore.places import place
from eventstore.reads import ReadLog
from eventstore.sealer import Sealer
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from projections.follower import Follower
from replay.rebuild import FOLLOWER_SECONDS_MAX, clean, renew, turn
from replay.tables import open_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from eventstore.delivery import Place
    from projections.tables import Tables
    from readmodels.base import Database


LOOK_SECONDS, RETRY_SECONDS = 0.25, 60.0
"""How often to look whether tables have to be renewed, and when to try what failed again."""

log = structlog.get_logger()


class Closing(Exception):
    """There is no time for more: the node closes."""


class Node:
    """The way into a workspace (writer), and the way out (tables, with a follower).

    A bare date in a question is a day in `zone`.
    """

    def __init__(
        self, workspace: Workspace, zone: tzinfo = UTC, places: Iterable[Place] = ()
    ) -> None:
        if workspace.keys is None:
            raise ValueError("a node writes; open the workspace with its keys")
        self.workspace = workspace
        self.zone = zone
        self.keys = workspace.keys
        self.api_keys = ApiKeys(workspace)
        self.writer = Writer(workspace.log)
        self.sealer = Sealer.of(workspace, places)
        self.reads = ReadLog(workspace.log)
        self.pulse = Pulse(workspace.log)
        self.questions = Questions(workspace)
        self.tables = open_tables(workspace, kept=True)
        self.follower = self._following(self.tables)
        self._asking: Counter[int] = Counter()
        self._asked = threading.Condition()
        self._closed = False
        self.turning = threading.Lock()
        self._closing = threading.Event()
        self._renewal = threading.Thread(target=self._keep_new, name="renewal")

    @classmethod
    def open(
        cls,
        directory: Path,
        database_url: str,
        name: str = "default",
        zone: tzinfo = UTC,
        anchors: Sequence[str] = (),
    ) -> Node:
        """The node of a workspace, not yet started."""
        places = [place(declared, directory) for declared in anchors]
        return cls(Workspace.open(directory, database_url, name), zone, places)

    def start(self) -> Self:
        """Take commands, follow the log, and seal it."""
        self.writer.start()
        self.sealer.start()
        self.follower.start()
        self.pulse.start()
        self._renewal.start()
        return self

    @contextmanager
    def asking(self) -> Iterator[Database]:
        """The read database, which stays open for as long as the block lasts.

        Raises TablesRenewed for what is not there before the tables are made anew.
        """
        with self._asked:
            tables = self.tables
            self._asking[id(tables)] += 1
        try:
            yield tables.database
        except (duckdb.CatalogException, duckdb.BinderException):
            if tables.outdated:
                raise TablesRenewed from None
            raise
        finally:
            with self._asked:
                self._asking[id(tables)] -= 1
                self._asked.notify_all()

    def turn_to(self, tables: Tables) -> None:
        """Answer from other tables from now on, such as those of a rebuild; close the old ones.

        Nobody reads from tables that are behind those of a moment ago.
        """
        follower = self._following(tables)
        follower.start()
        follower.wait_for(self.follower.position, FOLLOWER_SECONDS_MAX)
        self.follower.hand_over(follower)
        follower.wait_for(self.follower.position, FOLLOWER_SECONDS_MAX)
        with self._asked:
            old, self.tables = self.tables, tables
            self.follower = follower
        self._let_go(old)

    def _keep_new(self) -> None:
        """Renew tables that are outdated, and the file that may still hold who was forgotten."""
        renewed = True
        while not self._closing.wait(LOOK_SECONDS if renewed else RETRY_SECONDS):
            if self.tables.outdated or self.tables.leftovers:
                renewed = self._renew()

    def _renew(self) -> bool:
        """Make anew, beside the tables that answer, those that have to be; whether that is done."""
        outdated, leftovers = sorted(self.tables.outdated), self.tables.leftovers
        log.info("tables.outdated", tables=outdated, leftovers=leftovers)
        try:
            with self.turning:
                generation = renew(self.workspace, self.tables, self._go_on)
                tables, renewed = turn(self.workspace, self.follower, generation)
                self.turn_to(tables)
                clean(self.workspace)
        except Closing:
            return False
        except Exception:  # the old tables go on answering
            log.exception("tables.not_renewed", tables=outdated, leftovers=leftovers)
            return False
        differ = sorted(name for name, same in renewed.same.items() if not same)
        log.info("tables.renewed", tables=outdated, position=renewed.position, differ=differ)
        return True

    def _go_on(self, _: int) -> None:
        if self._closed:
            raise Closing

    def close(self) -> None:
        """Work off what waits, then let go of everything; closed twice is closed."""
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        if self._renewal.is_alive():
            self._renewal.join()
        self.questions.close()
        self.pulse.close()
        self.writer.close()
        self.sealer.close()
        self.reads.close()
        self.follower.stop()
        self._let_go(self.tables)
        self.workspace.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _following(self, tables: Tables) -> Follower:
        events = self.workspace.log
        tables.database.leave_room()
        return Follower(tables, events.read_arrow, events.wait)

    def _let_go(self, tables: Tables) -> None:
        with self._asked:
            self._asked.wait_for(lambda: not self._asking[id(tables)])
        tables.close()
