"""The tree beside the definition of RFC 9162, written down as it stands there."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.merkle import (
    EMPTY_ROOT,
    ProofWrong,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    parents,
    root,
)

sizes = st.integers(0, 70)


def leaves(size):
    return [bytes([number]) * (number % 5) + b"x" for number in range(size)]


def nodes(contents):
    """The complete subtrees over some leaves."""
    levels = [[leaf_hash(content) for content in contents]]
    while len(levels[-1]) > 1:
        levels.append(parents(levels[-1]))
    return lambda level, number: levels[level][number]


def k(n):
    power = 1
    while power * 2 < n:
        power *= 2
    return power


def mth(d):
    return mth_of_hashes([sha256(b"\x00" + content).digest() for content in d])


def mth_of_hashes(d):
    if len(d) <= 1:
        return d[0] if d else sha256().digest()
    cut = k(len(d))
    return sha256(b"\x01" + mth_of_hashes(d[:cut]) + mth_of_hashes(d[cut:])).digest()


def path(m, d):
    if len(d) == 1:
        return []
    cut = k(len(d))
    if m < cut:
        return [*path(m, d[:cut]), mth(d[cut:])]
    return [*path(m - cut, d[cut:]), mth(d[:cut])]


def subproof(m, d, b):
    if m == len(d):
        return [] if b else [mth(d)]
    cut = k(len(d))
    if m <= cut:
        return [*subproof(m, d[:cut], b), mth(d[cut:])]
    return [*subproof(m - cut, d[cut:], False), mth(d[:cut])]


@given(sizes)
def test_the_root_is_that_of_the_definition(size):
    d = leaves(size)
    assert root(size, nodes(d)) == mth(d)


@given(sizes, sizes)
def test_a_leaf_is_proved_as_the_definition_says(index, size):
    size = max(size, index + 1)
    d = leaves(size)
    proof = inclusion_proof(index, size, nodes(d))
    assert proof == path(index, d)
    check_inclusion(leaf_hash(d[index]), index, size, proof, mth(d))


@given(st.integers(1, 70), sizes)
def test_continuation_is_proved_as_the_definition_says(old, more):
    new = old + more
    d = leaves(new)
    proof = consistency_proof(old, new, nodes(d))
    assert proof == (subproof(old, d, True) if more else [])
    check_consistency(old, new, mth(d[:old]), mth(d), proof)


@given(st.data())
def test_a_proof_that_was_altered_proves_nothing(data):
    size = data.draw(st.integers(2, 70))
    index = data.draw(st.integers(0, size - 1))
    d = leaves(size)
    proof, leaf = path(index, d), leaf_hash(d[index])
    number = data.draw(st.integers(0, len(proof) - 1))
    flipped = [bytes(32) if at == number else step for at, step in enumerate(proof)]
    for wrong in (flipped, proof[1:], [*proof, bytes(32)], proof[:-1]):
        with pytest.raises(ProofWrong):
            check_inclusion(leaf, index, size, wrong, mth(d))
    with pytest.raises(ProofWrong):
        check_inclusion(leaf_hash(b"other"), index, size, proof, mth(d))
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index))
    with pytest.raises(ProofWrong):
        check_inclusion(leaf, other, size, proof, mth(d))


@given(st.data())
def test_a_tree_that_was_rewritten_continues_nothing(data):
    new = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, new - 1))
    d = leaves(new)
    proof = subproof(old, d, True)
    rewritten = [b"other", *d[1:]]
    with pytest.raises(ProofWrong):
        check_consistency(old, new, mth(d[:old]), mth(rewritten), subproof(old, rewritten, True))
    for wrong in (proof[1:], [*proof, bytes(32)], proof[:-1], [bytes(32), *proof[1:]]):
        with pytest.raises(ProofWrong):
            check_consistency(old, new, mth(d[:old]), mth(d), wrong)


def test_every_tree_continues_the_empty_one():
    check_consistency(0, 3, EMPTY_ROOT, mth(leaves(3)), [])
    with pytest.raises(ProofWrong):
        check_consistency(0, 3, bytes(32), mth(leaves(3)), [])
    with pytest.raises(ProofWrong):
        check_consistency(3, 2, mth(leaves(3)), mth(leaves(2)), [])


def test_a_leaf_that_is_not_there_has_no_proof():
    with pytest.raises(ValueError, match="no leaf 3"):
        inclusion_proof(3, 3, nodes(leaves(3)))
    with pytest.raises(ProofWrong):
        check_inclusion(bytes(32), 3, 3, [], bytes(32))
    with pytest.raises(ValueError, match="does not follow"):
        consistency_proof(4, 3, nodes(leaves(3)))
