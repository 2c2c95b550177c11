"""An evidence bundle proves what it shows to somebody who has nothing but Python."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pypdfium2 as pdfium
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cli import main
from commands.base import handle
from commands.customer import ChangeCustomerTier, CreateCustomer
from commands.user import RegisterUser
from domain.user import SYSTEM
from eventstore.envelope import uuid7
from eventstore.notes import SigningKeys
from eventstore.workspace import Workspace
from eventstore.writer import Context, Writer
from replay import evidence as evidences
from replay.base import StreamUnknown
from replay.check_bundle import BundleWrong, check, decoded, packed, signed, unpacked
from replay.evidence import EvidenceRefused, evidence
from tests.databases import empty_database
from tests.random_log import dice

ANN, CUSTOMER, OTHER = UUID(int=0xA), uuid7(), uuid7()
FLIPS = 400


@pytest.fixture(scope="module")
def kept(tmp_path_factory, postgres_url):
    """A workspace in which Ann created two customers and changed the tier of one."""
    create = CreateCustomer.model_validate(
        {"name": "Example <b>Ltd</b>", "tier": "standard", "country": "GB"}
    )
    wishes = [
        (RegisterUser(name="Ann Sales", handle="ann", team="east"), ANN, SYSTEM),
        (create, CUSTOMER, ANN),
        (create.model_copy(update={"name": "Other", "parent_id": CUSTOMER}), OTHER, ANN),
        (ChangeCustomerTier(tier="enterprise"), CUSTOMER, ANN),
    ]
    with (
        empty_database(postgres_url) as url,
        Workspace.open(tmp_path_factory.mktemp("evidence"), url) as workspace,
    ):
        with Writer(workspace.log) as writer:
            for day, (command, stream, actor) in enumerate(wishes, start=1):
                at = datetime(2024, 3, day, tzinfo=UTC)
                context = Context(actor, uuid7(), occurred_at=at)
                handle(writer, command, stream, context).result(30)
        yield workspace


@pytest.fixture(scope="module")
def bundle(kept):
    return evidence(kept, CUSTOMER)


def test_a_bundle_shows_who_did_what_and_proves_it(kept, bundle):
    (key,) = SigningKeys.of(kept.directory).verifiers
    said = check(bundle, [str(key)])
    assert said[0].startswith("3 events are among the 4 ")
    report = zipfile.ZipFile(io.BytesIO(bundle)).read("report.html").decode()
    assert "Ann Sales" in report
    assert "customer tier changed" in report
    assert "Example &lt;b&gt;Ltd&lt;/b&gt;" in report


def test_the_report_is_a_document_too(bundle, monkeypatch, kept):
    files = unpacked(bundle)
    assert files["report.pdf"].startswith(b"%PDF-1.")
    with pdfium.PdfDocument(files["report.pdf"]) as document:
        said = "".join(page.get_textpage().get_text_range() for page in document)
    for word in ("Ann Sales", "customer tier changed", "Example <b>Ltd</b>", "tier enterprise"):
        assert word in " ".join(said.split()), word
    monkeypatch.setattr(evidences, "has_pdf", lambda: False)
    assert "report.pdf" not in unpacked(evidence(kept, CUSTOMER))


def test_the_script_in_the_bundle_checks_it_with_nothing_but_python(bundle, tmp_path):
    file, script = tmp_path / "evidence.zip", tmp_path / "verify.py"
    file.write_bytes(bundle)
    script.write_bytes(zipfile.ZipFile(file).read("verify.py"))
    alone = [sys.executable, "-I", "-S", str(script)]
    done = subprocess.run([*alone, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Proved.\n")
    file.write_bytes(bundle.replace(b"enterprise", b"enterprize", 1))
    done = subprocess.run([*alone, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:10]) == (1, "NOT proved")


def test_any_changed_byte_is_found(bundle):
    chance = dice(3)
    check(bundle, [])
    for _ in range(FLIPS):
        changed = bytearray(bundle)
        changed[chance.randrange(len(bundle))] ^= chance.randrange(1, 256)
        with pytest.raises(BundleWrong):
            check(bytes(changed), [])
    for wrong in (b"", bundle[:-1], bundle + b"x", bundle[1:], b"PK" + bytes(50)):
        with pytest.raises(BundleWrong):
            check(wrong, [])


def test_a_changed_file_packed_anew_is_found(bundle):
    files = unpacked(bundle)
    for name, content in files.items():
        for at in range(0, len(content), max(1, len(content) // 12)):
            changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
            with pytest.raises(BundleWrong):
                check(packed(files | {name: changed}), [])
        with pytest.raises(BundleWrong):
            check(packed({other: of for other, of in files.items() if other != name}), [])


def test_a_bundle_signed_by_another_proves_nothing(bundle):
    stranger = SigningKeys.parse(["22" * 32]).verifiers[0]
    with pytest.raises(BundleWrong, match="no key that is trusted"):
        check(bundle, [str(stranger)])


def test_a_span_of_time_leaves_out_what_lies_beyond(kept):
    said = check(evidence(kept, CUSTOMER, until=datetime(2024, 3, 2, 12, tzinfo=UTC)), [])
    assert said[0].startswith("1 events")


def test_what_was_tampered_with_is_not_handed_out(kept):
    with kept.log.cursor() as cursor:
        change = "UPDATE log_events SET actor = %s WHERE originator_id = %s AND actor = %s"
        cursor.execute(change, (SYSTEM, CUSTOMER, ANN))
        with pytest.raises(EvidenceRefused):
            evidence(kept, CUSTOMER)
        cursor.execute(change, (ANN, CUSTOMER, SYSTEM))


def test_only_customers_have_a_bundle(kept):
    for stream in (ANN, uuid7()):
        with pytest.raises(StreamUnknown):
            evidence(kept, stream)


def test_the_shell_writes_and_checks_bundles(kept, tmp_path, capsys):
    file = str(tmp_path / "evidence.zip")
    where = ["--data", str(kept.directory), "--database-url", kept.database_url]
    assert main(["evidence", "customer", str(CUSTOMER), "-o", file, *where]) == 0
    assert main(["evidence", "verify", file]) == 0
    assert "Proved." in capsys.readouterr().out
    Path(file).write_bytes(b"X" + Path(file).read_bytes()[1:])
    assert main(["evidence", "verify", file]) == 1


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64), st.integers(0, 511))
def test_signatures_are_judged_as_a_library_judges_them(seed, text, bit):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(text)
    assert signed(public, text, signature)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        assert not signed(public, text, bytes(changed))
    except BundleWrong:
        with pytest.raises(BundleWrong):
            decoded(bytes(changed[:32]))
    assert not signed(public, text + b"x", signature)
