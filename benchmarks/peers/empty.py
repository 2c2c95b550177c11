"""An empty FastAPI route: the most that anything built on FastAPI could do.

python -m benchmarks.peers.empty        prints its port once it listens
"""

from __future__ import annotations

from fastapi import FastAPI

from benchmarks.peers.serving import serve

app = FastAPI()


@app.post("/empty")
async def empty() -> None:
    """Nothing."""


if __name__ == "__main__":
    serve(app)
