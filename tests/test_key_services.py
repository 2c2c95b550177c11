"""The key of keys: kept in a file, the environment or a service, and changed for another."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from cli import main
from commands.base import handle
from commands.lead import CaptureLead
from eventstore.envelope import uuid7
from eventstore.key_services import Command, MasterKey, Service, key_service, next_key_service
from eventstore.keys import MasterKeyLost
from eventstore.roots import Rotated, rotate
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventstore.key_services import KeyService

BOSS = UUID(int=1)

KMS = '''
"""A key management service for tests: a real one in all but the safe its key lies in."""
import base64, json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from cryptography.fernet import Fernet, InvalidToken

safe = Fernet(base64.urlsafe_b64encode(b"k" * 32))
DO = {"wrap": safe.encrypt, "unwrap": safe.decrypt}


class Door(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            assert self.headers["Authorization"] == "Bearer sesame"
            done = DO[self.path.rpartition("/")[2]](base64.b64decode(body["data"]))
        except (AssertionError, InvalidToken):
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"data": base64.b64encode(done).decode()}).encode())

    def log_message(self, *_):
        pass


if sys.argv[1] == "serve":
    server = HTTPServer(("127.0.0.1", 0), Door)
    print(server.server_port, flush=True)
    server.serve_forever()
try:
    sys.stdout.buffer.write(base64.b64encode(DO[sys.argv[1]](base64.b64decode(sys.stdin.read()))))
except InvalidToken:
    sys.exit("this was wrapped by another key")
'''


@pytest.fixture
def kms(tmp_path: Path) -> str:
    """How the program is called."""
    program = tmp_path / "kms.py"
    program.write_text(KMS)
    return f"{sys.executable} {program}"


@contextmanager
def served(kms: str) -> Iterator[str]:
    """The service, in a process of its own."""
    with subprocess.Popen([*kms.split(), "serve"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.terminate()


def capture(workspace: Workspace, name: str) -> UUID:
    lead = uuid7()
    with Writer(workspace.log) as writer:
        command = CaptureLead(name=name, source="web")
        handle(writer, command, lead, Context(BOSS, uuid7())).result(30)
    return lead


def name(workspace: Workspace, lead: UUID) -> object:
    [captured] = workspace.log.read_stream(lead)
    return captured.event.name  # type: ignore[attr-defined]


def rotated(workspace: Workspace, following: KeyService) -> Rotated:
    assert workspace.keys
    return rotate(workspace.directory, workspace.log, workspace.keys, following)


def again(workspace: Workspace) -> Workspace:
    """The workspace as the next process opens it."""
    return Workspace.open(workspace.directory, workspace.database_url)


def check(service: KeyService) -> None:
    wrapped = service.wrap(b"secret")
    assert b"secret" not in wrapped
    assert service.unwrap(wrapped) == b"secret"
    with pytest.raises(MasterKeyLost, match=r"unwrap|not the key"):
        service.unwrap(bytes(len(wrapped)))


def test_every_service_opens_what_it_wrapped_and_nothing_else(kms: str):
    check(MasterKey(b"m" * 32, "here"))
    check(Command(kms))
    with served(kms) as url:
        check(Service(url, "sesame"))
        with pytest.raises(MasterKeyLost, match="403"):
            Service(url, "guess").wrap(b"secret")
    with pytest.raises(MasterKeyLost, match="does not wrap"):
        Service(url, "sesame").wrap(b"secret")
    with pytest.raises(MasterKeyLost, match="does not wrap"):
        Command("/no/such/program").wrap(b"secret")


def test_a_workspace_begins_with_a_service(
    tmp_path: Path, database_url: str, kms: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BACKSTORY_KMS_COMMAND", kms)
    with Workspace.open(tmp_path, database_url) as workspace:
        lead = capture(workspace, "Ann")
    assert not (tmp_path / "master.key").exists()
    with Workspace.open(tmp_path, database_url) as workspace:
        assert name(workspace, lead) == "Ann"
    monkeypatch.setenv("BACKSTORY_KMS_COMMAND", "/no/such/program")
    with pytest.raises(MasterKeyLost):
        Workspace.open(tmp_path, database_url)


def test_after_a_rotation_the_key_from_before_opens_nothing(workspace: Workspace):
    lead = capture(workspace, "Ann")
    before = (workspace.directory / "master.key").read_text()
    backup = keys(workspace)
    assert rotated(workspace, next_key_service(workspace.directory)).keys == 1
    capture(workspace, "Bob")
    assert keys(workspace).items().isdisjoint(backup.items())
    with again(workspace) as opened:
        assert name(opened, lead) == "Ann"
    (workspace.directory / "master.key").write_text(before)
    with pytest.raises(MasterKeyLost, match="the key from before opens nothing"):
        again(workspace)


def keys(workspace: Workspace) -> dict[UUID, bytes]:
    with workspace.log.cursor() as cursor:
        cursor.execute("SELECT subject, wrapped FROM subject_key")
        return {row["subject"]: bytes(row["wrapped"]) for row in cursor.fetchall()}


def test_keys_go_from_a_file_to_a_service_and_back(
    workspace: Workspace, kms: str, monkeypatch: pytest.MonkeyPatch
):
    lead = capture(workspace, "Ann")
    with served(kms) as url:
        rotated(workspace, Service(url, "sesame"))
        assert not (workspace.directory / "master.key").exists()
        with pytest.raises(MasterKeyLost, match=f"wrapped by the service {url}"):
            again(workspace)
        monkeypatch.setenv("BACKSTORY_KMS_URL", url)
        monkeypatch.setenv("BACKSTORY_KMS_TOKEN", "sesame")
        with again(workspace) as opened:
            assert name(opened, lead) == "Ann"
            rotated(opened, next_key_service(workspace.directory))
        monkeypatch.delenv("BACKSTORY_KMS_URL")
    with again(workspace) as opened:
        assert name(opened, lead) == "Ann"


def test_a_rotation_that_is_broken_off_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    leads = [capture(workspace, "Ann") for _ in range(7)]
    monkeypatch.setattr("eventstore.roots.PAGE_ROWS", 2)

    def stop(done: int) -> None:
        if done >= 4:
            raise KeyboardInterrupt

    assert workspace.keys
    with pytest.raises(KeyboardInterrupt):
        directory = workspace.directory
        following = next_key_service(directory)
        rotate(directory, workspace.log, workspace.keys, following, stop)
    with again(workspace) as between:
        leads.append(capture(between, "Ann"))
        assert {name(between, lead) for lead in leads} == {"Ann"}
        assert rotated(between, next_key_service(directory)).keys == 3
    with again(workspace) as after:
        assert {name(after, lead) for lead in leads} == {"Ann"}


def test_a_crash_before_the_new_file_is_in_place_loses_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    lead = capture(workspace, "Ann")
    monkeypatch.setattr("eventstore.roots._tidy", lambda *_: None)
    rotated(workspace, next_key_service(workspace.directory))
    with again(workspace) as opened:
        assert name(opened, lead) == "Ann"
    assert sorted(path.name for path in workspace.directory.glob("master*")) == ["master.key"]


def test_who_missed_a_rotation_makes_no_key_that_nobody_could_open(workspace: Workspace):
    capture(workspace, "Ann")
    with again(workspace) as late:
        rotated(workspace, next_key_service(workspace.directory))
        with pytest.raises(Exception, match='column "root"'):
            capture(late, "Bob")
    assert len(keys(workspace)) == 1


def test_a_workspace_is_not_begun_with_a_key_that_is_not_its_own(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
):
    lead = capture(workspace, "Ann")
    with workspace.log.cursor() as cursor:  # as it was before there were root keys
        cursor.execute("DELETE FROM root_key")
    monkeypatch.setenv("BACKSTORY_MASTER_KEY", "ab" * 32)
    with pytest.raises(MasterKeyLost, match="another master key"):
        again(workspace)
    monkeypatch.delenv("BACKSTORY_MASTER_KEY")
    with again(workspace) as opened:
        assert name(opened, lead) == "Ann"


def test_the_environment_names_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BACKSTORY_MASTER_KEY", "not hex")
    with pytest.raises(MasterKeyLost, match="64 hex digits"):
        key_service(tmp_path)
    monkeypatch.setenv("BACKSTORY_KMS_URL", "http://user:password@127.0.0.1:1/")
    assert "password" not in key_service(tmp_path).name
    monkeypatch.setenv("BACKSTORY_KMS_COMMAND", "kms --key crm")
    assert key_service(tmp_path).name == "command kms"


def test_the_verb_rotates_and_the_key_from_before_is_refused_by_name(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    lead = capture(workspace, "Ann")
    verb = ["key", "rotate", "--data", str(workspace.directory)]
    verb += ["--database-url", workspace.database_url]
    monkeypatch.setenv("BACKSTORY_NEXT_MASTER_KEY", "ab" * 32)
    assert main([*verb, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["keys"] == 1
    assert main(verb) == 3
    assert "BACKSTORY_MASTER_KEY" in capsys.readouterr().err
    monkeypatch.setenv("BACKSTORY_MASTER_KEY", "ab" * 32)
    monkeypatch.delenv("BACKSTORY_NEXT_MASTER_KEY")
    with again(workspace) as opened:
        assert name(opened, lead) == "Ann"
