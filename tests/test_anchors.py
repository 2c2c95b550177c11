"""Checkpoints are brought to places elsewhere; from each one a log that was cut off is found."""

from __future__ import annotations

import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from email import message_from_bytes, policy
from uuid import UUID

import pytest
from aiosmtpd.controller import Controller

from cli import main
from domain.clock import CLOCK, ClockTicked
from eventstore import delivery, stamps
from eventstore.anchor import notes
from eventstore.delivery import Anchors, Delivery
from eventstore.envelope import NewEvent, uuid7
from eventstore.notes import SigningKeys
from eventstore.places import AnchorUnknown, notes_at, place
from eventstore.sealer import Sealer
from eventstore.stamps import Stamps, StampWrong
from eventstore.tree import Checkpoint
from replay.audit import audit_workspace
from tests.random_log import EPOCH

GIT, OPENSSL = shutil.which("git"), str(shutil.which("openssl") or "")
AUTHORITY = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = Time Stamps
[stamps]
basicConstraints = critical, CA:false
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[tsa]
default_tsa = one
[one]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
"""


def append(log, count):
    with log.transaction() as turn:
        version = turn.heads([CLOCK])[CLOCK]
        for n in range(1, count + 1):
            tick = ClockTicked(moment=EPOCH)
            ids = uuid7(), CLOCK, version + n, None, UUID(int=3), uuid7(), None
            turn.append([NewEvent(*ids, tick)])


def sealed_to(workspace, *declared):
    """Seal what there is, and bring the checkpoint to these places."""
    sealer = Sealer.of(workspace, [place(one, workspace.directory) for one in declared])
    sealer.seal()
    sealer.close()
    return sealer.anchor.standing()


def cut_off(workspace, count):
    """Set the database and the directory back to before the last events, as if nothing had been."""
    with workspace.log.cursor() as cursor:
        cursor.execute(
            "DELETE FROM log_events WHERE notification_id > "
            "(SELECT max(notification_id) - %s FROM log_events)",
            (count,),
        )
        cursor.execute("DELETE FROM log_tile")
        cursor.execute("DELETE FROM log_checkpoint")
    (workspace.directory / "checkpoints.jsonl").unlink()
    sealed_to(workspace)
    assert audit_workspace(workspace).good  # nothing here tells of it


def is_found_by(workspace, held):
    """The log was cut off, and these checkpoints say so."""
    cut_off(workspace, 2)
    found = audit_workspace(workspace, held)
    assert {finding.kind for finding in found.findings} == {"checkpoint", "missing"}
    assert "2 of 5 events that were signed are missing" in found.findings[-1].what


@contextmanager
def answering(answer):
    """An HTTP server on loopback: `answer(body)` gives the status and the bytes of a POST."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            status, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook"
        finally:
            server.shutdown()
            thread.join()


def git(folder, *arguments):
    command = [str(GIT), "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_file_elsewhere_tells_of_a_log_cut_off(workspace, tmp_path):
    append(workspace.log, 5)
    (kept,) = sealed_to(workspace, f"file:{tmp_path}/elsewhere.jsonl")
    assert (kept.kind, kept.kept_size, kept.error) == ("file", 5, None)
    is_found_by(workspace, notes_at(f"file:{tmp_path}/elsewhere.jsonl", workspace.directory))


def test_a_git_repository_and_its_remote_tell_of_it(workspace, tmp_path):
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(tmp_path, "clone", "--quiet", str(remote), str(clone))
    for count in (3, 2):
        append(workspace.log, count)
        (kept,) = sealed_to(workspace, f"git:{clone}")
        assert kept.error is None
    assert git(remote, "log", "--format=%s").split("\n")[:2] == [
        "5 events sealed",
        "3 events sealed",
    ]
    held = notes_at(f"git:{clone}", workspace.directory)
    assert len(held) == 2
    is_found_by(workspace, held)


def test_a_mail_tells_of_it(workspace, tmp_path, monkeypatch):
    received = []

    class Box:
        async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - as it is called
            received.append((envelope.rcpt_tos, envelope.content))
            return "250 kept"

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(Box(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        monkeypatch.setenv("BACKSTORY_SMTP_URL", f"smtp://127.0.0.1:{port}")
        append(workspace.log, 5)
        (kept,) = sealed_to(workspace, "mailto:auditor@example.com")
    finally:
        server.stop()
    assert (kept.kept_size, kept.error) == (5, None)
    [(addresses, content)] = received
    assert addresses == ["auditor@example.com"]
    saved = tmp_path / "saved.txt"
    saved.write_text(message_from_bytes(content, policy=policy.default).get_content())
    is_found_by(workspace, [*notes(saved)])
    with pytest.raises(AnchorUnknown, match="--checkpoint"):
        notes_at("mailto:auditor@example.com", workspace.directory)


def test_a_web_hook_tells_of_it(workspace):
    received = []
    append(workspace.log, 5)

    def answer(body):
        received.append(body.decode())
        return 204, b""

    with answering(answer) as url:
        (kept,) = sealed_to(workspace, url)
    assert (kept.kind, kept.kept_size, kept.error) == ("http", 5, None)
    is_found_by(workspace, received)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A time stamp authority: what `openssl ts` needs, and its certificate."""
    if not OPENSSL:
        pytest.skip("there is no openssl here")
    folder = tmp_path_factory.mktemp("tsa")
    (folder / "config").write_text(AUTHORITY)
    (folder / "serial").write_text("01\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made = ["req", "-config", "config", *key, "-days", "3650"]
    root = [*made, "-x509", "-subj", "/CN=Root", "-extensions", "root"]
    for arguments in (
        [*root, "-keyout", "root.key", "-out", "root.pem"],
        [*made, "-keyout", "tsa.key", "-out", "tsa.csr"],
        ["x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "3650",
         "-set_serial", "7", "-extfile", "config", "-extensions", "stamps", "-out", "tsa.crt"],
    ):  # fmt: skip
        subprocess.run([OPENSSL, *arguments], cwd=folder, check=True, capture_output=True)
    return folder


def stamped(folder, query):
    """What the authority answers."""
    (folder / "query").write_bytes(query)
    subprocess.run(
        [OPENSSL, "ts", "-reply", "-config", "config", "-section", "one", "-queryfile", "query",
         "-signer", "tsa.crt", "-inkey", "tsa.key", "-out", "reply"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return 200, (folder / "reply").read_bytes()


def test_a_time_stamp_tells_of_it_and_since_when(workspace, authority):
    append(workspace.log, 5)
    with answering(lambda query: stamped(authority, query)) as url:
        (kept,) = sealed_to(workspace, f"rfc3161:{url}")
        assert kept.error == "StampWrong"  # nobody is trusted yet
        shutil.copy(authority / "root.pem", workspace.directory / stamps.TRUSTED)
        append(workspace.log, 2)
        (kept,) = sealed_to(workspace, f"rfc3161:{url}")
    assert (kept.kept_size, kept.error) == (7, None)
    (stamp,) = Stamps(url, workspace.directory).read()
    assert abs(stamp.stamped_at.timestamp() - time.time()) < 600
    cut_off(workspace, 2)
    held = notes_at(f"rfc3161:{url}", workspace.directory)
    assert "2 of 7 events" in audit_workspace(workspace, held).findings[-1].what
    file = workspace.directory / stamps.STAMPS
    line = json.loads(file.read_text())
    file.write_text(json.dumps(line | {"note": line["note"].replace("\n7\n", "\n6\n")}) + "\n")
    with pytest.raises(StampWrong):
        notes_at(f"rfc3161:{url}", workspace.directory)


def test_a_stamp_of_somebody_not_trusted_is_not_kept(workspace, authority, tmp_path):
    other = ["req", "-config", "config", "-x509", "-subj", "/CN=Other", "-extensions", "root"]
    more = ["-newkey", "ed25519", "-nodes", "-keyout", tmp_path / "k", "-out", tmp_path / "o.pem"]
    subprocess.run([OPENSSL, *other, *more], cwd=authority, check=True, capture_output=True)
    shutil.copy(tmp_path / "o.pem", workspace.directory / stamps.TRUSTED)
    append(workspace.log, 1)
    with answering(lambda query: stamped(authority, query)) as url:
        (kept,) = sealed_to(workspace, f"rfc3161:{url}")
    assert (kept.kept_size, kept.error) == (None, "StampWrong")
    assert not (workspace.directory / stamps.STAMPS).exists()


def test_a_place_that_is_away_is_tried_again_and_stops_nobody(workspace, monkeypatch):
    monkeypatch.setattr(delivery, "AGAIN_SECONDS", 0.02)
    received, answers = [], iter([503, 500])

    def answer(body):
        if status := next(answers, None):
            return status, b""
        received.append(body.decode())
        return 200, b""

    with answering(answer) as url:
        sealer = Sealer.of(workspace, [place(url, workspace.directory)])
        append(workspace.log, 1)
        sealer.seal()
        append(workspace.log, 1)
        sealer.seal()  # what was not kept keeps nobody from sealing
        deadline = time.monotonic() + 20
        while not received:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sealer.close()
    verifiers = SigningKeys.of(workspace.directory).verifiers
    assert Checkpoint.parse(received[-1], verifiers).size == 2
    assert sealer.anchor.standing()[0].error is None


def test_the_door_of_health_tells_what_is_not_kept(workspace, tmp_path):
    append(workspace.log, 1)
    standing = sealed_to(workspace, f"git:{tmp_path}/nowhere", "http://127.0.0.1:9/")
    assert [(one.kind, one.kept_size, one.error) for one in standing] == [
        ("git", None, "NotKept"),
        ("http", None, "ConnectError"),
    ]


def test_only_the_newest_is_brought_when_many_come():
    kept, go_on = [], threading.Event()

    class Slow:
        kind, seconds = "slow", 0.0

        def keep(self, checkpoint):
            go_on.wait(20)
            kept.append(checkpoint.size)

    brings = Delivery(Slow())
    for size in (1, 2, 3, 4):
        brings.offer(Checkpoint("log", size, b"", ""))
        time.sleep(0.02)
    go_on.set()
    brings.close()
    assert kept in ([1, 4], [4])
    assert brings.standing().kept_size == 4


@pytest.mark.parametrize(
    "declared", ["", "git:", "ftp://example.com", "https://", "rfc3161:tsa", "mailto:nobody"]
)
def test_a_place_that_is_none_is_told(declared, tmp_path, monkeypatch):
    monkeypatch.delenv("BACKSTORY_SMTP_URL", raising=False)
    with pytest.raises(AnchorUnknown):
        place(declared, tmp_path)


def test_the_shell_brings_and_asks_for_checkpoints(workspace, tmp_path, capsys):
    append(workspace.log, 5)
    where = ["--data", str(workspace.directory), "--database-url", workspace.database_url]
    elsewhere = f"file:{tmp_path}/elsewhere.jsonl"
    broken = f"git:{tmp_path}/nowhere"
    assert main(["audit", "seal", "--anchor", elsewhere, "--anchor", broken, *where]) == 0
    assert "not kept at git: NotKept" in capsys.readouterr().err
    assert main(["audit", "verify", "--anchor", elsewhere, *where]) == 0
    cut_off(workspace, 2)
    assert main(["audit", "verify", *where]) == 0
    capsys.readouterr()
    assert main(["audit", "verify", "--anchor", elsewhere, *where]) == 1
    assert "2 of 5 events that were signed are missing" in capsys.readouterr().out
    assert main(["audit", "seal", "--anchor", "pigeon:post", *where]) == 1


def test_a_file_alone_stands_for_itself(workspace):
    append(workspace.log, 1)
    assert sealed_to(workspace) == []
    assert isinstance(Sealer.of(workspace).anchor, Anchors)
