"""A server on a loopback port, as a process of its own: `serving_process DIRECTORY URL`.

It prints its port once it listens.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from api.app import Server
from api.node import Node


def main(directory: Path, database_url: str) -> None:
    with socket.socket() as listening, Node.open(directory, database_url) as node:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        print(listening.getsockname()[1], flush=True)  # noqa: T201
        Server(node).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
