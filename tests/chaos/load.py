"""Clients that want things done, and remember what they were told; readers that follow the log."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from eventstore.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from eventstore.log import Log

RETRY_SECONDS = 0.05
ASK_SECONDS = 60
NOT_NOW = {"unavailable", "outcome-unknown", "overloaded", "earlier-line-unsettled"}


class Told(NamedTuple):
    """What an acknowledgement says."""

    id: str
    version: int
    position: int


@dataclass
class Memory:
    """What was wanted, and what was acknowledged, by the word that each event carries."""

    wanted: set[str] = field(default_factory=set)
    told: dict[str, Told] = field(default_factory=dict)

    def note(self, word: str, told: dict[str, Any]) -> None:
        """Remember an acknowledgement: asked again, it has to be the same."""
        new = Told(told["id"], told["version"], told["position"])
        assert self.told.setdefault(word, new) == new


class NotNow(Exception):
    """It has to be asked again."""


class Client(threading.Thread):
    """Asks one thing after another, each until it is told, or until it loses patience."""

    def __init__(self, name: str, address: Callable[[], str], key: str, hot: str) -> None:
        super().__init__(name=name, daemon=True)
        self.memory = Memory()
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self._address, self._hot = address, hot
        self._chance = random.Random(name)  # noqa: S311 - the same again, not secret
        self._lead = hot
        self._http = connected(key)

    def run(self) -> None:
        """Ask until told to stop; what is under way then is seen to its end."""
        try:
            with self._http:
                for number in itertools.count():
                    if self.stopping.is_set():
                        return
                    ask = self._chance.choice([self.capture, self.engage, self.engage, self.send])
                    self._insist(ask, f"{self.name}-{number}", patient=self._chance.random() > 0.2)
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error

    def _insist(self, ask: Callable[[str], None], word: str, *, patient: bool) -> None:
        while True:
            try:
                ask(word)
            except (httpx.TransportError, NotNow):
                if not patient:
                    return
                time.sleep(RETRY_SECONDS)
            else:
                return

    def capture(self, word: str) -> None:
        """Start a lead, which is this client's own from then on."""
        self.memory.wanted.add(word)
        told = self._post("/leads", {"name": "Ann Example", "source": word}, word)
        self.memory.note(word, told)
        self._lead = told["id"]

    def engage(self, word: str) -> None:
        """Add to this client's lead, or to the one that all share."""
        self.memory.wanted.add(word)
        lead = self._lead if hash_of(word) % 2 else self._hot
        told = self._post(f"/leads/{lead}/engage", {"kind": "call", "note": word}, word)
        self.memory.note(word, told)

    def send(self, word: str) -> None:
        """Send many commands at once; those told of are told of again."""
        words = [f"{word}-{number}" for number in range(hash_of(word) % 40)]
        self.memory.wanted.update(words)
        lines = [
            {"command": "EngageLead", "id": self._hot, "fields": {"kind": "reply", "note": one}}
            for one in words
        ]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        address, headers = f"{self._address()}/commands", {"Idempotency-Key": word}
        with self._http.stream("POST", address, content=body, headers=headers) as reply:
            if reply.status_code != 200:
                not_now(json.loads(reply.read()))
            for line in map(json.loads, reply.iter_lines()):
                if "problem" in line:
                    not_now(line["problem"])
                self.memory.note(words[line["line"] - 1], line)

    def _post(self, path: str, body: dict[str, Any], word: str) -> dict[str, Any]:
        headers = {"Idempotency-Key": word}
        reply = self._http.post(self._address() + path, json=body, headers=headers)
        told: dict[str, Any] = reply.json()
        if reply.status_code not in {200, 201}:
            not_now(told)
        return told


def connected(key: str) -> httpx.Client:
    """A client with a key. It never meets TLS, whose set-up would take longer than all the rest."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(headers=headers, timeout=ASK_SECONDS, verify=False)  # noqa: S501 - see above


def not_now(problem: dict[str, Any]) -> None:
    """Only what may be asked again is an excuse."""
    if problem["type"].removeprefix("urn:backstory:problem:") not in NOT_NOW:
        raise AssertionError(problem)
    raise NotNow


def hash_of(word: str) -> int:
    """A number that follows from a word: asked again, the same is asked."""
    return sum(word.encode())


class Tail(threading.Thread):
    """Follows the log; `seen` is every position in the order it came."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        self.stopping = threading.Event()

    @property
    def position(self) -> int:
        """The last position seen."""
        return self.seen[-1] if self.seen else 0


class LogTail(Tail):
    """Follows the log itself."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def run(self) -> None:
        """Read what is new, through every outage."""
        while not self.stopping.is_set():
            try:
                if self._log.wait(self.position, 0.1):
                    for recorded in self._log.read(self.position):
                        self.seen.append(recorded.position)
            except Unavailable:
                time.sleep(RETRY_SECONDS)


class HttpTail(Tail):
    """Follows the log over HTTP."""

    def __init__(self, address: Callable[[], str], key: str) -> None:
        super().__init__()
        self._address = address
        self._http = connected(key)

    def run(self) -> None:
        """Listen, and go on where it was when the line is lost."""
        with self._http:
            while not self.stopping.is_set():
                try:
                    self._listen()
                except httpx.TransportError:
                    time.sleep(RETRY_SECONDS)

    def _listen(self) -> None:
        params = {"after": str(self.position), "follow": "true"}
        url = f"{self._address()}/events"
        timeout = httpx.Timeout(ASK_SECONDS, read=1)
        with self._http.stream("GET", url, params=params, timeout=timeout) as reply:
            if reply.status_code != 200:
                return
            for line in reply.iter_lines():
                if line:
                    self.seen.append(json.loads(line)["position"])
                if self.stopping.is_set():
                    return


def words_in(log: Log) -> dict[str, list[Told]]:
    """What the log holds, by the word that each event carries."""
    found: dict[str, list[Told]] = {}
    for recorded in log.read(types=["lead"]):
        event: Any = recorded.event
        word = event.source if recorded.event.type == "lead.captured.v1" else event.note
        told = Told(str(recorded.stream_id), recorded.version, recorded.position)
        found.setdefault(word, []).append(told)
    return found


def in_order(log: Log) -> bool:
    """Whether versions have no gaps, and neither positions nor times run backwards."""
    versions: dict[UUID, int] = {}
    last: tuple[int, float] = 0, 0.0
    for recorded in log.read():
        now = recorded.position, recorded.recorded_at.timestamp()
        known = versions.get(recorded.stream_id, 0)
        if recorded.version != known + 1 or now[0] <= last[0] or now[1] < last[1]:
            return False
        versions[recorded.stream_id] = recorded.version
        last = now
    return True
