"""A workspace: one CRM with its own log, keys and directory; the root everything is made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from eventstore.keys import Keyring
from eventstore.log import Log
from eventstore.roots import open_roots

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True)
class Workspace:
    """The log (a PostgreSQL schema of its own), the keys, and where files go."""

    name: str
    directory: Path
    database_url: str
    log: Log
    keys: Keyring | None

    @classmethod
    def open(
        cls, directory: Path, database_url: str, name: str = "default", *, keys: bool = True
    ) -> Workspace:
        """Open a workspace; its tables are created, or brought up to date.

        With `keys=False` personal fields are read as `HIDDEN` and cannot be written: enough for
        learners.
        """
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
            raise ValueError(f"a workspace is named in a-z, 0-9 and _, not {name!r}")
        directory.mkdir(parents=True, exist_ok=True)
        keyring = Keyring() if keys else None
        log = Log(database_url, f"backstory_{name}", keyring)
        try:
            if keyring is not None:
                open_roots(directory, log, keyring)
            log.forgotten.reapply()
        except BaseException:
            log.close()
            raise
        return cls(name, directory, database_url, log, keyring)

    def close(self) -> None:
        """Close the connections."""
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
