"""A rebuild in parts on a cluster of machines, by Ray (the extra `cluster`)."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from replay.base import ReplayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from replay.partitions import Part, Run

HERE = "127.0.0.1"


class RayMissing(ReplayError):
    """Ray is not installed."""


def on_ray(address: str | None = None) -> Run:
    """Has each part built by a task of the cluster at `address`; without one, of this machine.

    The machines need the database, the master key, and the folder of the tables on storage they
    share: what they are told is a `Part`.
    """

    def run(build: Callable[[Part], int], parts: Sequence[Part]) -> Iterable[int]:
        ray = _ray()
        mine = not ray.is_initialized()
        if mine:
            where = {"address": address} if address else {"_node_ip_address": HERE}
            ray.init(**where, include_dashboard=False, log_to_driver=False)
        try:
            task = ray.remote(build)
            waiting = [task.remote(part) for part in parts]
            while waiting:
                done, waiting = ray.wait(waiting)
                yield from ray.get(done)
        finally:
            if mine:
                ray.shutdown()

    return run


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        return import_module("ray")
    except ModuleNotFoundError:
        raise RayMissing("Ray is not installed: pip install 'backstory[cluster]'") from None
