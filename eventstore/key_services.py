"""What wraps the root key of a workspace: a file, the environment, a command, or a service.

The port is two methods, `wrap` and `unwrap`. Only 64 bytes pass through it, once at each start and
at each rotation; so a key management service sees no personal value and is asked for nothing while
commands are under way.
"""

from __future__ import annotations

import base64
import hmac
import os
import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from eventstore.keys import KEY_BYTES, NONCE_BYTES, MasterKeyLost, secret_file

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 30.0
FILE, NEXT_FILE = "master.key", "master.key.next"
HERE, NEXT = "BACKSTORY_", "BACKSTORY_NEXT_"
"""How the variables begin that name the service: that of now, and that of after a rotation."""


class KeyService(Protocol):
    """Wraps and unwraps a secret under a key that never leaves it."""

    @property
    def name(self) -> str:
        """What is kept beside the wrapped key, to tell one service from another."""

    def wrap(self, secret: bytes) -> bytes:
        """The secret, such that only `unwrap` opens it."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """The secret; raises MasterKeyLost if another service wrapped it, or none answers."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key of 32 bytes that is at hand: AES-256-GCM."""

    key: bytes
    source: str

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise MasterKeyLost("the master key must be 64 hex digits (32 bytes)")

    @classmethod
    def parse(cls, text: str, source: str) -> MasterKey:
        """A master key from its 64 hex digits."""
        try:
            return cls(bytes.fromhex(text.strip()), source)
        except ValueError:
            raise MasterKeyLost(f"{source} must hold 64 hex digits (32 bytes)") from None

    @property
    def name(self) -> str:
        """See `KeyService`."""
        return "master key " + hmac.digest(self.key, b"fingerprint", "sha256").hex()[:16]

    def wrap(self, secret: bytes) -> bytes:
        """See `KeyService`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher().encrypt(nonce, secret, None)

    def unwrap(self, wrapped: bytes) -> bytes:
        """See `KeyService`."""
        try:
            return self._cipher().decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], None)
        except InvalidTag:
            raise MasterKeyLost(f"{self.source} is not the key this was wrapped with") from None

    def _cipher(self) -> AESGCM:
        return AESGCM(hmac.digest(self.key, b"wrap root keys", "sha256"))


@dataclass(frozen=True, slots=True)
class Command:
    """A program: `PROGRAM wrap` and `PROGRAM unwrap` read base64 and write base64."""

    line: str

    @property
    def name(self) -> str:
        """See `KeyService`."""
        return f"command {shlex.split(self.line)[0]}"

    def wrap(self, secret: bytes) -> bytes:
        """See `KeyService`."""
        return self._asked("wrap", secret)

    def unwrap(self, wrapped: bytes) -> bytes:
        """See `KeyService`."""
        return self._asked("unwrap", wrapped)

    def _asked(self, what: str, given: bytes) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own
                [*shlex.split(self.line), what],
                input=base64.b64encode(given),
                capture_output=True,
                timeout=SECONDS_MAX,
                check=True,
            )
            return base64.b64decode(done.stdout.strip(), validate=True)
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip() or f"exit code {error.returncode}"
            raise MasterKeyLost(f"{self.name} does not {what}: {said}") from None
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise MasterKeyLost(f"{self.name} does not {what}: {error}") from None


@dataclass(frozen=True, slots=True)
class Service:
    """A service over HTTP: `POST URL/wrap` and `POST URL/unwrap`, JSON with `data` in base64."""

    url: str
    token: str | None = None

    @property
    def name(self) -> str:
        """See `KeyService`."""
        return f"service {httpx.URL(self.url).copy_with(username=None, password=None)}"

    def wrap(self, secret: bytes) -> bytes:
        """See `KeyService`."""
        return self._asked("wrap", secret)

    def unwrap(self, wrapped: bytes) -> bytes:
        """See `KeyService`."""
        return self._asked("unwrap", wrapped)

    def _asked(self, what: str, given: bytes) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = {"data": base64.b64encode(given).decode()}
        try:
            reply = httpx.post(
                f"{self.url.rstrip('/')}/{what}", json=body, headers=headers, timeout=SECONDS_MAX
            )
            reply.raise_for_status()
            return base64.b64decode(reply.json()["data"], validate=True)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise MasterKeyLost(f"{self.name} does not {what}: {error}") from None


def key_service(directory: Path) -> KeyService:
    """The service of a workspace: a command, a URL or a key in the environment, or else a file.

    `BACKSTORY_KMS_COMMAND`, `BACKSTORY_KMS_URL` (with `BACKSTORY_KMS_TOKEN`), or
    `BACKSTORY_MASTER_KEY` (64 hex digits). The file is made once, readable by its owner only; two
    processes that start at once agree.
    """
    return _of_environment(HERE) or MasterKey.parse(secret_file(directory / FILE), FILE)


def next_key_service(directory: Path) -> KeyService:
    """The service to turn to in a rotation: `BACKSTORY_NEXT_…`, or else a new file beside."""
    found = _of_environment(NEXT)
    return found or MasterKey.parse(secret_file(directory / NEXT_FILE), NEXT_FILE)


def _of_environment(begin: str) -> KeyService | None:
    if command := os.environ.get(f"{begin}KMS_COMMAND"):
        return Command(command)
    if url := os.environ.get(f"{begin}KMS_URL"):
        return Service(url, os.environ.get(f"{begin}KMS_TOKEN"))
    if key := os.environ.get(f"{begin}MASTER_KEY"):
        return MasterKey.parse(key, f"{begin}MASTER_KEY")
    return None
