"""The load generator: a bare HTTP/1.1 client on keep-alive connections, in its own process.

python -m benchmarks.load --port N --connections N [--header H] --post PATH SECONDS WARM_UP

Each connection asks, waits for the answer and asks again. Requests are built before the clock
starts: the generator must cost little beside the server it shares a machine with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from itertools import chain, count
from typing import TYPE_CHECKING, cast

import uvloop

from benchmarks.leads import QUALIFY, capture
from benchmarks.window import Window
from eventstore.envelope import uuid7

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUILT_PER_SECOND = 10_000
HOST = "127.0.0.1"
ID, NUMBER, KEY = "{id}", "{number}", "{key}"
LENGTHS = {ID: 36, NUMBER: 8}
HEAD_ENDS = b"\r\n\r\n"
LENGTH = b"content-length:"


def requests(paths: Sequence[str], headers: Sequence[str]) -> Iterator[list[bytes]]:
    """Leads without end: for each, the requests for `paths` in turn."""
    bodies = {"qualify": json.dumps(QUALIFY)}
    templates = [
        _template(path, bodies.get(path.rsplit("/", 1)[-1], json.dumps(capture(NUMBER))), headers)
        for path in paths
    ]
    for number in count(1):
        lead = str(uuid7()).encode()
        yield [
            template.replace(ID.encode(), lead)
            .replace(NUMBER.encode(), b"%08d" % number)
            .replace(KEY.encode(), uuid7().hex.encode())
            for template in templates
        ]


def _template(path: str, body: str, headers: Sequence[str]) -> bytes:
    length = len(body) + body.count(NUMBER) * (LENGTHS[NUMBER] - len(NUMBER))
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {HOST}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        *headers,
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


class Connection(asyncio.Protocol):
    """One client: a request at a time, on one connection."""

    transport: asyncio.Transport

    def __init__(self, leads: Iterator[list[bytes]], window: Window) -> None:
        self.asking = chain.from_iterable(leads)
        self.window = window
        self.done = asyncio.get_running_loop().create_future()
        self.received = b""
        self.began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        """Send the next request."""
        self.began = time.perf_counter()
        self.transport.write(next(self.asking))

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer, note how long it took, and go on."""
        self.received = received = self.received + data
        head = received.find(HEAD_ENDS)
        if head < 0:
            return
        at = received.lower().find(LENGTH, 0, head) + len(LENGTH)
        if len(received) < head + len(HEAD_ENDS) + int(received[at : received.find(b"\r", at)]):
            return
        if received[9:10] != b"2":
            self.done.set_exception(RuntimeError(received.decode()))
            self.transport.close()
            return
        self.received = b""
        if self.window.note(self.began):
            self.ask()
        else:
            self.done.set_result(None)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The server has to keep connections open."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


async def generate(given: argparse.Namespace) -> None:
    """Ask, from all connections at once, until the time is over."""
    source = requests(given.post, given.header)
    built = int(BUILT_PER_SECOND * (given.seconds + given.warm_up) / len(given.post))
    leads = chain([next(source) for _ in range(built)], source)
    loop = asyncio.get_running_loop()
    with Window(given.seconds, given.warm_up) as window:
        used = time.process_time()
        connections = [
            await loop.create_connection(lambda: Connection(leads, window), HOST, given.port)
            for _ in range(given.connections)
        ]
        await asyncio.gather(*(connection.done for _, connection in connections))
        used = time.process_time() - used
        share = (given.seconds + given.warm_up) / given.seconds
        window.more["generator_per_cpu_second"] = len(window.waits) * share / used


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("seconds", type=float)
    parser.add_argument("warm_up", type=float)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--post", action="append", required=True)
    uvloop.run(generate(parser.parse_args()))


if __name__ == "__main__":
    main()
