"""Heartbeats and silence."""

from __future__ import annotations

from node.peers.detector import GOODS_AFTER_SLOW, HEALTH_MAX, OTHERS_RARER, TICKS_PER_INTERVAL, Detector
from node.peers.stats import PeerStats
from node.peers.table import Peer, PeerState
from node.types import MILLISECOND, SECOND, Instant, NodeId


class Ticker:
    """A detector with one active peer, ticked as its service would."""

    def __init__(self, *, is_neighbour: bool = True) -> None:
        self.stats = PeerStats()
        self.detector = Detector(SECOND, self.stats)
        self.peer = Peer(NodeId(b"p" * 32), state=PeerState.UP, heard_at=0)
        self.is_neighbour = is_neighbour
        self.due = self.detector.next_tick(0, 1.0)
        self.beats: list[Instant] = []
        self.pings: list[Instant] = []
        self.relays: list[Instant] = []
        self.silent_at: Instant | None = None

    def run(self, until: Instant, *, late: int = 0) -> None:
        while self.due + late <= until:
            now = self.due + late
            late = 0
            peers = [self.peer]
            found = self.detector.tick(*((peers, []) if self.is_neighbour else ([], peers)), now)
            self.beats += [now for _ in found.beats]
            self.pings += [now for _ in found.pings]
            self.relays += [now for _ in found.relays]
            if found.silent and self.silent_at is None:
                self.silent_at = now
            self.due = self.detector.next_tick(now, 1.0)


def test_a_neighbour_gets_one_heartbeat_per_interval_and_others_a_quarter() -> None:
    for is_neighbour, beats in ((True, 8), (False, 8 // OTHERS_RARER)):
        ticker = Ticker(is_neighbour=is_neighbour)
        for second in range(1, 9):
            ticker.peer.heard_at = second * SECOND
            ticker.run(second * SECOND)
        assert len(ticker.beats) == beats
        assert ticker.pings == []


def test_a_silent_neighbour_is_asked_directly_and_through_others_for_one_interval() -> None:
    ticker = Ticker()
    ticker.run(3200 * MILLISECOND)
    assert (ticker.pings, ticker.peer.state) == ([], PeerState.UP)
    ticker.run(4200 * MILLISECOND)
    assert (len(ticker.pings), len(ticker.relays)) == (TICKS_PER_INTERVAL, 2)
    assert ticker.peer.state is PeerState.SLOW
    assert ticker.silent_at is None
    ticker.run(5 * SECOND)
    assert ticker.silent_at == 4250 * MILLISECOND
    assert ticker.stats.suspicions == 1


def test_one_sign_of_life_ends_a_suspicion() -> None:
    ticker = Ticker()
    ticker.run(4 * SECOND)
    ticker.detector.heard(ticker.peer, 4 * SECOND)
    assert ticker.peer.state is PeerState.UP
    ticker.run(7 * SECOND)
    assert ticker.silent_at is None


def test_a_peer_of_which_something_else_speaks_ill_is_asked_at_once() -> None:
    ticker = Ticker()
    ticker.detector.doubt(ticker.peer, 0)
    ticker.run(1 * SECOND)
    assert ticker.pings[0] == 250 * MILLISECOND
    assert ticker.silent_at == 1 * SECOND


def test_a_node_in_bad_health_is_more_patient() -> None:
    ticker = Ticker()
    ticker.detector.worse()
    ticker.run(6 * SECOND)
    assert ticker.pings == []
    ticker.run(9 * SECOND)
    assert ticker.silent_at == 8500 * MILLISECOND


def test_health_has_limits_and_comes_back_with_answered_questions() -> None:
    ticker = Ticker()
    for _ in range(20):
        ticker.detector.worse()
    assert ticker.detector.health == HEALTH_MAX
    for _ in range(20):
        ticker.peer.probed_at = 0
        ticker.detector.heard(ticker.peer, 0)
    assert ticker.detector.health == 1


def test_a_node_that_could_not_run_itself_forgives_everybody_that_time() -> None:
    ticker = Ticker()
    ticker.run(10 * SECOND, late=10 * SECOND - 500 * MILLISECOND)
    assert ticker.silent_at is None
    assert ticker.peer.state is PeerState.UP
    assert ticker.detector.health == 2


def test_a_peer_that_the_application_found_slow_needs_several_signs_of_life() -> None:
    ticker = Ticker()
    ticker.detector.mark_slow(ticker.peer)
    states = []
    for _ in range(GOODS_AFTER_SLOW):
        states.append(ticker.peer.state)
        ticker.detector.heard(ticker.peer, 0)
    assert states == [PeerState.SLOW] * GOODS_AFTER_SLOW
    assert ticker.peer.state is PeerState.UP


def test_a_peer_that_is_down_cannot_be_made_slow() -> None:
    ticker = Ticker()
    ticker.peer.state = PeerState.DOWN
    ticker.detector.mark_slow(ticker.peer)
    assert ticker.peer.state is PeerState.DOWN


def test_while_all_is_calm_only_the_ticks_with_heartbeats_run() -> None:
    ticker = Ticker()
    findings = ticker.detector.tick([ticker.peer], [], 0)
    assert (findings.is_calm, findings.beats) == (True, [ticker.peer])
    assert ticker.detector.next_tick(0, 1.0, is_calm=True) == SECOND
    ticker.peer.heard_at = SECOND
    assert ticker.detector.tick([ticker.peer], [], SECOND).beats == [ticker.peer]


def test_it_is_not_calm_when_a_peer_can_become_silent_before_the_next_heartbeat() -> None:
    ticker, calm = Ticker(), []
    for now in (2000 * MILLISECOND, 2100 * MILLISECOND, 3200 * MILLISECOND):
        ticker.detector.next_tick(now, 0.0)
        calm.append(ticker.detector.tick([ticker.peer], [], now).is_calm)
    assert calm == [True, False, False]
