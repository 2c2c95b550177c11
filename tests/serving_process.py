"""A server on a loopback port, as a process of its own: `serving_process DIRECTORY URL`.

It prints its port once it listens.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from api.app import Server
from api.node import Node


async def main(directory: Path, database_url: str) -> None:
    server = Server(Node.open(directory, database_url).start(), port=0)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await serving


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
