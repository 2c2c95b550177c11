"""A line to PostgreSQL that can be cut in the very middle of a commit."""

from __future__ import annotations

import select
import shutil
import socket
import tempfile
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

PORT = 5432
CHUNK_BYTES = 65_536
COMMIT = b"COMMIT\x00"

Cut = Literal["before", "after"]
"""Whether PostgreSQL has carried the COMMIT out when the one who asked hears no more of it."""


class Line:
    """A socket with PostgreSQL at its other end, until it is cut; `url` leads there.

    `cut_next` is for the next COMMIT, `drop` for now; with `stay_away` nobody gets through again
    before `mend`. `cuts` counts the commits that were cut.
    """

    def __init__(self, database_url: str) -> None:
        self._server = conninfo_to_dict(database_url)
        self._directory = Path(tempfile.mkdtemp(prefix="line-"))
        self.url = make_conninfo(database_url, host=str(self._directory), port=PORT)
        self.cuts = 0
        self._planned: tuple[Cut, bool] | None = None
        self._away = threading.Event()
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._listening = socket.socket(socket.AF_UNIX)
        self._threads = [threading.Thread(target=self._accept)]

    def cut_next(self, when: Cut, *, stay_away: bool = False) -> None:
        """Cut every connection at the next COMMIT."""
        self._planned = when, stay_away

    def drop(self, *, stay_away: bool = False) -> None:
        """Cut every connection now."""
        with self._guard:
            if stay_away:
                self._away.set()
            for end in self._open:
                hang_up(end)

    def mend(self) -> None:
        """Let connections through again."""
        self._away.clear()

    def __enter__(self) -> Self:
        self._listening.bind(str(self._directory / f".s.PGSQL.{PORT}"))
        self._listening.listen()
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        hang_up(self._listening)
        self._threads[0].join()
        self.drop()
        for thread in self._threads:
            thread.join()
        self._listening.close()
        shutil.rmtree(self._directory)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                thread = threading.Thread(target=self._connect, args=[client])
                self._threads.append(thread)
                thread.start()

    def _connect(self, client: socket.socket) -> None:
        with closing(client), suppress(OSError), closing(self._dialled()) as server:
            with self._guard:
                if self._away.is_set():
                    return
                self._open |= {client, server}
            with suppress(OSError):
                self._pass_on(client, server)
            with self._guard:
                self._open -= {client, server}

    def _dialled(self) -> socket.socket:
        host, port = str(self._server.get("host", "localhost")), self._server.get("port", PORT)
        if not host.startswith("/"):
            return socket.create_connection((host, int(port or PORT)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            for end in select.select([client, server], [], [])[0]:
                said = end.recv(CHUNK_BYTES)
                if not said:
                    return
                if end is client and self._planned and COMMIT in said:
                    self._cut(said, client, server)
                    return
                (server if end is client else client).sendall(said)

    def _cut(self, said: bytes, client: socket.socket, server: socket.socket) -> None:
        when, stay_away = self._planned or ("before", False)
        self._planned = None
        self.cuts += 1
        if when == "after":
            server.sendall(said)
            # In a pipeline the server answers when it is asked to, which may come separately.
            while server not in select.select([client, server], [], [])[0]:
                server.sendall(client.recv(CHUNK_BYTES))
            server.recv(CHUNK_BYTES)  # it is done; nobody is told
        self.drop(stay_away=stay_away)


def hang_up(end: socket.socket) -> None:
    """End a conversation that another thread may be waiting in."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
