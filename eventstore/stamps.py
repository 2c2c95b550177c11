"""Time stamps (RFC 3161): that a checkpoint was there at a moment, said by an authority of others.

DIR/tsa.pem             the certificates of the authorities that are trusted
DIR/timestamps.jsonl    a line for each stamp, which only grows
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from cryptography.x509 import load_pem_x509_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from eventstore.tree import Checkpoint

STAMPS, TRUSTED = "timestamps.jsonl", "tsa.pem"
SECONDS = 3600.0
TIMEOUT_SECONDS = 20.0
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


class StampWrong(Exception):
    """What is kept is no time stamp over the checkpoint by an authority that is trusted."""


class StampsMissing(ImportError):
    """Time stamps need the extra `timestamps`: pip install 'backstory[timestamps]'."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """That a checkpoint was there at a moment."""

    note: str
    stamped_at: datetime


class Stamps:
    """A place for checkpoints: an authority stamps each, and the stamp is kept in a file."""

    kind, seconds = "rfc3161", SECONDS

    def __init__(self, url: str, directory: Path) -> None:
        self.url, self.directory = url, directory
        self.library = _library()

    def keep(self, checkpoint: Checkpoint) -> None:
        """See `Place`; a stamp that does not hold is not kept."""
        note = checkpoint.note.encode()
        asked = self.library.TimestampRequestBuilder().data(note).build()
        reply = httpx.post(
            self.url,
            content=asked.as_bytes(),
            headers={"Content-Type": QUERY, "Accept": REPLY},
            timeout=TIMEOUT_SECONDS,
        )
        if not reply.is_success:
            raise StampWrong(f"the authority answered {reply.status_code}")
        self._checked(reply.content, note, asked.nonce)
        stamp = base64.b64encode(reply.content).decode()
        line = orjson.dumps({"note": checkpoint.note, "stamp": stamp})
        with (self.directory / STAMPS).open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Iterator[Stamp]:
        """Every stamp that is kept, checked anew; raises `StampWrong` at one that does not hold."""
        path = self.directory / STAMPS
        for line in path.read_bytes().splitlines() if path.exists() else ():
            try:
                kept = orjson.loads(line)
                note, stamp = kept["note"], base64.b64decode(kept["stamp"])
            except (ValueError, KeyError, TypeError):
                if line.endswith(b"}"):
                    raise StampWrong(f"{path} holds a line that is no time stamp") from None
                continue  # cut off by a crash while it was written
            yield Stamp(note, self._checked(stamp, note.encode(), None))

    def _checked(self, stamp: bytes, note: bytes, nonce: int | None) -> datetime:
        """When a note was stamped."""
        path = self.directory / TRUSTED
        if not path.exists():
            raise StampWrong(f"put the certificates you trust for time stamps into {path}")
        roots = load_pem_x509_certificates(path.read_bytes())
        builder = self.library.VerifierBuilder(roots=roots, nonce=nonce)
        try:
            found = self.library.decode_timestamp_response(stamp)
            builder.build().verify_message(found, note)
        except (ValueError, self.library.VerificationError) as wrong:
            raise StampWrong(f"{StampWrong.__doc__} {wrong}") from None
        at: datetime = found.tst_info.gen_time
        return at


def _library() -> Any:
    try:
        import rfc3161_client  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise StampsMissing(StampsMissing.__doc__) from None
    return rfc3161_client
