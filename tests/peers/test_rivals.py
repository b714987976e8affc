"""Two processes with one key are noticed, and one lost connection is not mistaken for that."""

from __future__ import annotations

from node.peers.rivals import Rivals
from node.types import SECOND
from node.wire.limits import USURPATION_TIME, USURPATIONS_MAX


def test_what_happens_often_is_reported() -> None:
    rivals = Rivals()
    reports = [rivals.usurped(number * SECOND) for number in range(USURPATIONS_MAX)]
    assert reports[:-1] == [None] * (USURPATIONS_MAX - 1)
    assert reports[-1] is not None
    assert reports[-1].kind == "identity_conflict"


def test_what_happens_rarely_is_not() -> None:
    rivals = Rivals()
    assert not any(rivals.usurped(number * USURPATION_TIME) for number in range(1, 2 * USURPATIONS_MAX))
