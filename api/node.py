"""One process of Backstory: everything that runs in it, made and ended in one place."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Self

from api.auth import ApiKeys
from api.events import Pulse
from eventstore.workspace import Workspace
from eventstore.writer import Writer
from projections.follower import Follower
from replay.tables import open_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from projections.tables import Tables
    from readmodels.base import Database


class Node:
    """The way into a workspace (writer), and the way out (tables, with a follower).

    A bare date in a question is a day in `zone`.
    """

    def __init__(self, workspace: Workspace, zone: tzinfo = UTC) -> None:
        if workspace.keys is None:
            raise ValueError("a node writes; open the workspace with its keys")
        self.workspace = workspace
        self.zone = zone
        self.keys = workspace.keys
        self.api_keys = ApiKeys(workspace)
        self.writer = Writer(workspace.log)
        self.pulse = Pulse(workspace.log)
        self.tables = open_tables(workspace)
        self.follower = self._following(self.tables)
        self._asking: Counter[int] = Counter()
        self._asked = threading.Condition()
        self._closed = False

    @classmethod
    def open(
        cls, directory: Path, database_url: str, name: str = "default", zone: tzinfo = UTC
    ) -> Node:
        """The node of a workspace, not yet started."""
        return cls(Workspace.open(directory, database_url, name), zone)

    def start(self) -> Self:
        """Take commands, and follow the log."""
        self.writer.start()
        self.follower.start()
        self.pulse.start()
        return self

    @contextmanager
    def asking(self) -> Iterator[Database]:
        """The read database, which stays open for as long as the block lasts."""
        with self._asked:
            tables = self.tables
            self._asking[id(tables)] += 1
        try:
            yield tables.database
        finally:
            with self._asked:
                self._asking[id(tables)] -= 1
                self._asked.notify_all()

    def turn_to(self, tables: Tables) -> None:
        """Answer from other tables from now on, such as those of a rebuild; close the old ones."""
        follower = self._following(tables)
        follower.start()
        with self._asked:
            old, self.tables = self.tables, tables
            old_follower, self.follower = self.follower, follower
        old_follower.stop()
        self._let_go(old)

    def close(self) -> None:
        """Work off what waits, then let go of everything; closed twice is closed."""
        if self._closed:
            return
        self._closed = True
        self.pulse.close()
        self.writer.close()
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
        log = self.workspace.log
        return Follower(tables, log.read_arrow, log.wait)

    def _let_go(self, tables: Tables) -> None:
        with self._asked:
            self._asked.wait_for(lambda: not self._asking[id(tables)])
        tables.close()
