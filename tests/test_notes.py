"""Signed notes as others write and read them; the keys of a log."""

from __future__ import annotations

import base64
import hashlib
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from eventstore.merkle import EMPTY_ROOT
from eventstore.notes import NoteWrong, SigningKeys, SigningKeyWrong, Verifier, opened, rotate
from eventstore.tree import Checkpoint

SEED, OTHER = "11" * 32, "22" * 32
KEYS = SigningKeys.parse([SEED])
FOREIGN = Verifier.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
"""A key and a note that the documentation of Go's package `sumdb/note` shows."""
FOREIGN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"  # noqa: E501
)


def read_by_hand(note, verifier):
    """A note read with nothing of ours, as the specification says; its first three lines."""
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    name, id_, key = verifier.split("+", 2)
    public = base64.b64decode(key)
    assert hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] == id_
    assert public[0] == 1
    (found,) = [
        base64.b64decode(line.split(" ")[2])
        for line in signatures.strip().split("\n")
        if line.split(" ")[:2] == ["—", name]
        and base64.b64decode(line.split(" ")[2])[:4].hex() == id_
    ]
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(found[4:], text.encode())
    return text.split("\n")


def test_a_note_of_another_implementation_is_read():
    assert opened(FOREIGN_NOTE, [FOREIGN]).startswith("If you think")
    assert str(FOREIGN).startswith("PeterNeumann+c74f20a3+")


def test_a_checkpoint_is_read_by_others():
    checkpoint = Checkpoint.sign(7, hashlib.sha256(b"x").digest(), KEYS)
    origin, size, root, end = read_by_hand(checkpoint.note, str(KEYS.verifiers[0]))
    assert (origin, size, end) == (KEYS.origin, "7", "")
    assert base64.b64decode(root) == hashlib.sha256(b"x").digest()
    assert Checkpoint.parse(checkpoint.note, KEYS.verifiers) == checkpoint


@given(st.data())
def test_a_changed_note_is_refused(data):
    note = Checkpoint.sign(12, EMPTY_ROOT, KEYS).note
    raw = bytearray(note.encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 127))
    changed = raw.decode(errors="surrogateescape")
    try:
        checkpoint = Checkpoint.parse(changed, KEYS.verifiers)
    except NoteWrong:
        return
    # Only such bits may differ as say nothing: those that end the base64 of a signature.
    assert changed.rpartition("\n\n")[0] == note.rpartition("\n\n")[0]
    assert (checkpoint.size, checkpoint.root) == (12, EMPTY_ROOT)


@pytest.mark.parametrize("size", ["07", "-7", "", "7 ", "\N{ARABIC-INDIC DIGIT SEVEN}", "7.0"])
def test_a_signed_text_that_is_no_checkpoint_is_refused(size):
    note = KEYS.sign(f"{KEYS.origin}\n{size}\n{base64.b64encode(EMPTY_ROOT).decode()}\n")
    with pytest.raises(NoteWrong, match="no checkpoint"):
        Checkpoint.parse(note, KEYS.verifiers)


def test_signatures_of_strangers_are_passed_over_but_do_not_count():
    both = SigningKeys.parse([SEED, OTHER])
    note = both.sign("text\n")
    for verifier in both.verifiers:
        assert opened(note, [verifier]) == "text\n"
    with pytest.raises(NoteWrong, match="no key that is trusted"):
        opened(note, [FOREIGN])


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path):
    first, again = SigningKeys.of(tmp_path), SigningKeys.of(tmp_path)
    assert first.verifiers == again.verifiers
    assert stat.S_IMODE((tmp_path / "signing.key").stat().st_mode) == 0o600


def test_a_new_key_signs_beside_the_old_one_until_that_is_retired(tmp_path):
    (old,) = SigningKeys.of(tmp_path).verifiers
    both = rotate(tmp_path)
    assert both.verifiers[0] == old
    assert opened(both.sign("text\n"), [old]) == "text\n"
    newest = rotate(tmp_path, retire=True)
    assert newest.origin == both.origin
    assert newest.verifiers[:2] == both.verifiers
    assert len(newest.signers) == 1
    with pytest.raises(NoteWrong):
        opened(newest.sign("text\n"), [old])
    assert opened(both.sign("text\n"), newest.verifiers) == "text\n"


def test_keys_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKSTORY_SIGNING_KEYS", f"{KEYS.verifiers[0]},{OTHER}")
    keys = SigningKeys.of(tmp_path)
    assert (keys.origin, len(keys.signers), len(keys.verifiers)) == (KEYS.origin, 1, 2)
    assert not list(tmp_path.iterdir())
    with pytest.raises(SigningKeyWrong, match="BACKSTORY_SIGNING_KEYS"):
        rotate(tmp_path)


@pytest.mark.parametrize("line", ["", "12" * 31, f"{FOREIGN}x", f"{FOREIGN}"[:-4], str(FOREIGN)])
def test_what_is_no_signing_key_is_told_without_showing_it(line):
    with pytest.raises(SigningKeyWrong) as told:
        SigningKeys.parse([line])
    assert not line or "+" in line or line not in str(told.value)
    with pytest.raises(SigningKeyWrong):
        Verifier.parse(str(FOREIGN).replace("c74f20a3", "c74f20a4"))
