"""One process of Backstory: everything that runs in it, made and ended in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from api.auth import ApiKeys
from api.events import Pulse
from eventstore.workspace import Workspace
from eventstore.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class Node:
    """The way into a workspace (writer), and the way out (tables, with a follower)."""

    def __init__(self, workspace: Workspace) -> None:
        if workspace.keys is None:
            raise ValueError("a node writes; open the workspace with its keys")
        self.workspace = workspace
        self.keys = workspace.keys
        self.api_keys = ApiKeys(workspace)
        self.writer = Writer(workspace.log)
        self.pulse = Pulse(workspace.log)
        self._closed = False

    @classmethod
    def open(cls, directory: Path, database_url: str, name: str = "default") -> Node:
        """The node of a workspace, not yet started."""
        return cls(Workspace.open(directory, database_url, name))

    def start(self) -> Self:
        """Take commands, and follow the log."""
        self.writer.start()
        self.pulse.start()
        return self

    def close(self) -> None:
        """Work off what waits, then let go of everything; closed twice is closed."""
        if self._closed:
            return
        self._closed = True
        self.pulse.close()
        self.writer.close()
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
