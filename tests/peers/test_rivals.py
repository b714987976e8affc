"""Two processes with one key are noticed, and one lost connection is not mistaken for that."""

from __future__ import annotations

from node.errors import Code
from node.peers.actions import Report
from node.peers.rivals import Rivals
from node.types import SECOND
from node.wire.limits import SUCCESSOR_TIME, USURPATION_TIME, USURPATIONS_MAX
from tests.peers.test_peers import Desk, key


def test_what_happens_often_is_reported() -> None:
    rivals = Rivals()
    reports = [rivals.usurped(number * SUCCESSOR_TIME) for number in range(USURPATIONS_MAX)]
    assert reports[:-1] == [None] * (USURPATIONS_MAX - 1)
    assert reports[-1] is not None
    assert reports[-1].kind == "identity_conflict"


def test_what_happens_rarely_is_not() -> None:
    rivals = Rivals()
    assert not any(rivals.usurped(number * USURPATION_TIME) for number in range(1, 2 * USURPATIONS_MAX))


def test_what_happens_at_one_time_counts_once() -> None:
    rivals = Rivals()
    assert not any(rivals.usurped(number * SUCCESSOR_TIME // 20) for number in range(19))


def test_what_a_late_node_sees_does_not_count() -> None:
    rivals = Rivals()
    assert not any(rivals.usurped(number * SUCCESSOR_TIME, is_late=True) for number in range(9))


def replaced_by_nothing(desk: Desk, *letters: str, pause: float = 0.0) -> list[Report]:
    """Each of these peers prefers a connection that this node never sees; what is reported."""
    for number, letter in enumerate(letters, 10):
        desk.closed(desk.greet(key(letter), number), key(letter), Code.REPLACED, by_peer=True)
    desk.now += round(pause * SECOND)
    desk.run(SUCCESSOR_TIME / SECOND + 0.5)
    return desk.take(Report)


def test_peers_that_prefer_unseen_connections_again_and_again_speak_for_a_second_process() -> None:
    desk = Desk()
    reports = [report.kind for _ in range(USURPATIONS_MAX) for report in replaced_by_nothing(desk, "a")]
    assert reports == ["identity_conflict"]


def test_many_dials_that_crossed_at_once_on_a_slow_machine_speak_for_nobody() -> None:
    desk = Desk()
    assert replaced_by_nothing(desk, *"abcdefgh") == []


def test_what_a_node_that_was_kept_from_running_finds_missing_speaks_for_nobody() -> None:
    desk = Desk()
    assert [report for _ in range(USURPATIONS_MAX) for report in replaced_by_nothing(desk, "a", pause=3.0)] == []
