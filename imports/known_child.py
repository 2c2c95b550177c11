"""The process that looks for whoever the rows of a long file may be: see `known`."""

from __future__ import annotations

import sys

from eventstore.collector import collect_seldom
from imports.apart import begin, dump, load
from imports.known import Known


def main() -> None:
    """Take notes from standard input, and answer on standard output."""
    begin()
    known = Known()
    try:
        while True:
            known.ask(load(sys.stdin.buffer))
            dump(known.answer(), sys.stdout.buffer)
    except EOFError:
        return
    except Exception as error:  # noqa: BLE001 - whoever wants the answer has to know
        dump(error, sys.stdout.buffer)


if __name__ == "__main__":
    collect_seldom()
    main()
