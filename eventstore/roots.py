"""Root keys: what wraps the keys of subjects, itself wrapped by a key service.

A rotation makes a new root key, wraps every subject's key under it, and last, in one step, has the
new service wrap the root key and forgets the old one. Until that step the old service opens all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventstore.key_services import FILE, NEXT_FILE, KeyService, MasterKey, key_service
from eventstore.keys import KEY_BYTES, MasterKeyLost, Root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from psycopg import Cursor
    from psycopg.rows import DictRow

    from eventstore.keys import Keyring
    from eventstore.log import Log

PAGE_ROWS = 5_000
NIL = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did."""

    keys: int
    """Keys of subjects that were wrapped anew."""
    service: str
    """What wraps the root key now."""


def open_roots(directory: Path, log: Log, keys: Keyring) -> None:
    """Have the root keys at hand; the first is made when there is none.

    Raises MasterKeyLost when the service that is given is not the one that wrapped them.
    """
    service = key_service(directory)
    with log.cursor() as cursor:
        rows = _rows(cursor)
        if not rows:
            first = _first(service)
            keys.adopt({1: first})
            _must_fit(cursor, keys)
            cursor.execute(
                "INSERT INTO root_key (number, service, wrapped) VALUES (1, %s, %s) "
                "ON CONFLICT DO NOTHING",
                (service.name, service.wrap(first.secret)),
            )
            rows = _rows(cursor)
    service = _fitting(directory, service, rows[-1]["service"])
    keys.adopt({row["number"]: Root.of(service.unwrap(bytes(row["wrapped"]))) for row in rows})
    keys.service = service.name


def rotate(
    directory: Path,
    log: Log,
    keys: Keyring,
    following: KeyService,
    progress: Callable[[int], None] = lambda _: None,
) -> Rotated:
    """Wrap every key anew, and have another service wrap the root key from then on.

    Broken off, it goes on where it was when it is called again. Raises MasterKeyLost, and nothing
    is lost, if either service fails.
    """
    current = _fitting(directory, key_service(directory), _of(log)[-1]["service"])
    following.unwrap(following.wrap(os.urandom(KEY_BYTES)))  # before anything rests on it
    newest = _begin(log, keys, current)
    done = 0
    after: UUID | str = NIL
    while True:
        with log.cursor() as cursor:
            last, count = keys.rewrap(cursor, newest, after, PAGE_ROWS)
        if last is None:
            break
        done, after = done + count, last
        progress(done)
    with log.transaction() as turn:  # nobody makes keys meanwhile
        count = keys.rewrap(turn.cursor, newest, NIL, None)[1]
        root = keys.root(newest)
        turn.cursor.execute(
            "UPDATE root_key SET service = %s, wrapped = %s WHERE number = %s",
            (following.name, following.wrap(root.secret), newest),
        )
        turn.cursor.execute("DELETE FROM root_key WHERE number < %s", (newest,))
    keys.adopt({newest: root})
    keys.service = following.name
    _tidy(directory, following)
    return Rotated(done + count, following.name)


def _begin(log: Log, keys: Keyring, current: KeyService) -> int:
    """The number of the new root key; that of a rotation broken off, if there was one."""
    with log.transaction() as turn:
        numbers = [row["number"] for row in _rows(turn.cursor)]
        if len(numbers) > 1:
            return int(numbers[-1])
        newest = int(numbers[-1]) + 1
        root = Root(os.urandom(KEY_BYTES), keys.root(numbers[-1]).hashes)
        turn.cursor.execute(
            "INSERT INTO root_key (number, service, wrapped) VALUES (%s, %s, %s)",
            (newest, current.name, current.wrap(root.secret)),
        )
    keys.adopt({numbers[-1]: keys.root(numbers[-1]), newest: root})
    return newest


def _first(service: KeyService) -> Root:
    """The first root key: what a master key meant before there were any, or chance."""
    if not isinstance(service, MasterKey):
        return Root(os.urandom(KEY_BYTES), os.urandom(KEY_BYTES))
    return Root.of_master(service.key)


def _must_fit(cursor: Cursor[DictRow], keys: Keyring) -> None:
    """Do not begin with a key that the keys there are were not wrapped with."""
    cursor.execute("SELECT subject, wrapped, root FROM subject_key LIMIT 1")
    if row := cursor.fetchone():
        keys.unwrapped(row)


def _fitting(directory: Path, service: KeyService, wanted: str) -> KeyService:
    """The service that is wanted; a rotation may have ended before its file was put in place."""
    if service.name == wanted:
        return service
    path = directory / NEXT_FILE
    if isinstance(service, MasterKey) and service.source == FILE and path.exists():
        following = MasterKey.parse(path.read_text(encoding="ascii"), FILE)
        if following.name == wanted:
            path.replace(directory / FILE)
            return following
    raise MasterKeyLost(
        f"the keys of this workspace are wrapped by the {wanted}, but the {service.name} was "
        f"given: restore {FILE}, or BACKSTORY_MASTER_KEY, BACKSTORY_KMS_COMMAND or "
        "BACKSTORY_KMS_URL; after a rotation the key from before opens nothing"
    )


def _tidy(directory: Path, following: KeyService) -> None:
    """Put the new file in the place of the old one, or remove what is not needed any more."""
    if isinstance(following, MasterKey) and following.source == NEXT_FILE:
        (directory / NEXT_FILE).replace(directory / FILE)
    else:
        (directory / FILE).unlink(missing_ok=True)
        (directory / NEXT_FILE).unlink(missing_ok=True)


def _of(log: Log) -> list[DictRow]:
    with log.cursor() as cursor:
        return _rows(cursor)


def _rows(cursor: Cursor[DictRow]) -> list[DictRow]:
    cursor.execute("SELECT number, service, wrapped FROM root_key ORDER BY number")
    return cursor.fetchall()
