"""Cursors: where a page of a query ended, sealed, so that the next one follows without a seam."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from api.problems import CursorInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventstore.keys import Keyring

SEAL_BYTES = 16

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The position in the log that the first page was answered at, and the last row given.

    Every page is answered as of that position, whatever has been written since; `last` holds the
    row's sort key and its id.
    """

    position: int
    last: tuple[Scalar, ...]

    def sealed(self, keys: Keyring, question: str) -> str:
        """The cursor as text, of use for this question only."""
        payload = orjson.dumps([self.position, *self.last])
        return base64.urlsafe_b64encode(_seal(keys, question, payload) + payload).decode()


def opened(keys: Keyring, question: str, text: str, width: int) -> Cursor:
    """The cursor that `sealed` gave for the same question, with `width` values of the last row."""
    try:
        sealed = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CursorInvalid from None
    seal, payload = sealed[:SEAL_BYTES], sealed[SEAL_BYTES:]
    if not hmac.compare_digest(seal, _seal(keys, question, payload)):
        raise CursorInvalid
    position, *last = orjson.loads(payload)
    if len(last) != width:
        raise CursorInvalid
    return Cursor(position, tuple(last))


def question(path: str, params: Sequence[tuple[str, str]]) -> str:
    """What is asked, apart from where in the answer the page begins and how long it is."""
    apart = {"cursor", "limit", "min_position"}
    asked = sorted((name, value) for name, value in params if name not in apart)
    return orjson.dumps([path, asked]).decode()


def _seal(keys: Keyring, question: str, payload: bytes) -> bytes:
    return keys.keyed_hash("cursor", f"{question}\n{payload.decode('latin-1')}")[:SEAL_BYTES]
