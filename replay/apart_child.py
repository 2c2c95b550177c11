"""The process that reads a log, decodes it and opens what is sealed: see `apart`."""

from __future__ import annotations

import pickle
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from domain import EVENTS
from eventstore.collector import collect_seldom
from eventstore.workspace import Workspace
from projections.catch_up import pages
from projections.passing import pass_on, tell
from projections.reader import Reader

if TYPE_CHECKING:
    from projections.batch import Batch
    from replay.apart import Work


def main() -> None:
    """Read what standard input says, and hand it over on the socket of the given number."""
    [number] = sys.argv[1:]
    sys.path, work = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent says it
    with socket.socket(fileno=int(number)) as to:
        try:
            _read(work, to)
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # noqa: BLE001 - whoever wants the batches has to know
            tell(error, to)
        else:
            tell(None, to)
        while to.recv(1):
            pass  # until it was heard: what was said is lost if this ends before


def _read(work: Work, to: socket.socket) -> None:
    """Three batches are under way at once, as in `catch_up`."""
    keys = work.sealed is not None
    place = work.directory, work.database_url, work.workspace
    with (
        Workspace.open(*place, keys=keys) as workspace,
        ThreadPoolExecutor(1) as reading,
        ThreadPoolExecutor(1) as passing,
    ):
        log = workspace.log
        reader = Reader(EVENTS.values(), work.sealed or (), log.unseal if keys else None)
        ahead = pages(work.source(log), work.after, work.until, work.rows)
        page, passed = reading.submit(next, ahead, None), passing.submit(lambda: None)
        while (read := page.result()) is not None:
            page = reading.submit(next, ahead, None)
            batch = reader.read(read)
            passed.result()
            passed = passing.submit(_pass_on, reader, batch, to)
        passed.result()


def _pass_on(reader: Reader, batch: Batch, to: socket.socket) -> None:
    opened = reader.open(batch)
    if not to.recv(1):
        raise BrokenPipeError
    pass_on(batch, opened, to)


if __name__ == "__main__":
    collect_seldom()
    main()
