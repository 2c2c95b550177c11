"""Random pieces: the nonce of a value that is sealed must never be used again."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from eventstore.chance import DRAWN_BYTES, Chance


def test_no_piece_is_given_twice_to_threads_that_draw_at_once():
    chance = Chance(12)
    with ThreadPoolExecutor(8) as threads:
        drawn = list(threads.map(lambda _: chance.draw(), range(DRAWN_BYTES)))
    assert {len(piece) for piece in drawn} == {12}
    assert len(set(drawn)) == DRAWN_BYTES


def test_a_fork_draws_other_pieces():
    chance = Chance(12)
    chance.draw()
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.write(there, chance.draw())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(there, "wb"), os.fdopen(here, "rb") as told:
        assert told.read(12) not in {chance.draw() for _ in range(DRAWN_BYTES // 12)}
