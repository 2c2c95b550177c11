"""Captures and qualifies leads in UmaDB, from many callers at once.

python -m benchmarks.peers.umadb_callers URL CALLERS SECONDS WARM_UP
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from uuid import uuid4

import umadb as store

from benchmarks.leads import QUALIFY, capture
from benchmarks.window import Window


def main() -> None:
    """Capture and qualify leads, each append on the condition that nothing came between."""
    url, callers, seconds, warm_up = sys.argv[1:]
    numbers = itertools.count()

    def append(kind: str, tag: str, fields: object, lead: store.Query, after: int | None) -> None:
        happened = store.Event(kind, json.dumps(fields).encode(), [tag], uuid4())
        client.append([happened], store.AppendCondition(lead, after))

    def call() -> None:
        going = True
        while going:
            tag = f"lead:{uuid4()}"
            lead = store.Query([store.QueryItem(tags=[tag])])
            began = time.perf_counter()
            append("lead.captured", tag, capture(f"{next(numbers):08}"), lead, None)
            window.note(began)
            began = time.perf_counter()
            known, head = client.read(lead).collect_with_head()
            assert [one.event.event_type for one in known] == ["lead.captured"]
            append("lead.qualified", tag, QUALIFY, lead, head)
            going = window.note(began)

    with store.Client(url) as client, Window(float(seconds), float(warm_up)) as window:
        threads = [threading.Thread(target=call) for _ in range(int(callers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
