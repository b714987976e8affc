"""Heartbeats and silence."""

from __future__ import annotations

from node.peers.liveness import GOODS_AFTER_SLOW, Liveness
from node.peers.stats import PeerStats
from node.peers.table import Peer, PeerState
from node.types import MILLISECOND, SECOND, Instant, NodeId
from node.wire.limits import PROBES_PER_INTERVAL


class Watch:
    """A detector with one active peer, ticked as its service would."""

    def __init__(self) -> None:
        self.stats = PeerStats()
        self.liveness = Liveness(SECOND, self.stats)
        self.peer = Peer(NodeId(b"p" * 32), state=PeerState.UP, heard_at=0)
        self.due = self.liveness.next_tick(0, 1.0)
        self.heartbeats: list[tuple[Instant, bool]] = []
        self.lost_at: Instant | None = None

    def run(self, until: Instant, *, late: int = 0) -> None:
        while self.due + late <= until:
            now = self.due + late
            late = 0
            heartbeats, lost = self.liveness.tick([self.peer], now)
            self.heartbeats += [(now, heartbeat.wants_answer) for heartbeat in heartbeats]
            if lost and self.lost_at is None:
                self.lost_at = now
            self.due = self.liveness.next_tick(now, 1.0)


def test_a_peer_gets_one_heartbeat_per_interval() -> None:
    watch = Watch()
    for second in range(1, 11):
        watch.peer.heard_at = second * SECOND
        watch.run(second * SECOND)
    assert len(watch.heartbeats) == 10
    assert not any(wants_answer for _, wants_answer in watch.heartbeats)


def test_a_silent_peer_is_probed_faster_after_two_intervals_and_slow_after_three() -> None:
    watch = Watch()
    states, probes = [], []
    for until in (2 * SECOND - 1, 3 * SECOND - 1, 4 * SECOND - 1):
        watch.run(until)
        states.append(watch.peer.state)
        probes.append(sum(wants_answer for _, wants_answer in watch.heartbeats))
    assert states == [PeerState.UP, PeerState.UP, PeerState.SLOW]
    assert probes == [0, PROBES_PER_INTERVAL, 2 * PROBES_PER_INTERVAL]
    assert watch.stats.suspicions == 1


def test_a_silent_peer_is_given_up_after_six_intervals() -> None:
    watch = Watch()
    watch.run(7 * SECOND)
    assert watch.lost_at == 6 * SECOND


def test_one_sign_of_life_ends_a_suspicion() -> None:
    watch = Watch()
    watch.run(4 * SECOND)
    watch.liveness.heard(watch.peer, 4 * SECOND)
    assert watch.peer.state is PeerState.UP
    watch.run(6 * SECOND)
    assert watch.lost_at is None


def test_a_peer_that_the_application_found_slow_needs_several_signs_of_life() -> None:
    watch = Watch()
    watch.liveness.mark_slow(watch.peer)
    states = []
    for _ in range(GOODS_AFTER_SLOW):
        states.append(watch.peer.state)
        watch.liveness.heard(watch.peer, 0)
    assert states == [PeerState.SLOW] * GOODS_AFTER_SLOW
    assert watch.peer.state is PeerState.UP


def test_a_peer_that_is_down_cannot_be_made_slow() -> None:
    watch = Watch()
    watch.peer.state = PeerState.DOWN
    watch.liveness.mark_slow(watch.peer)
    assert watch.peer.state is PeerState.DOWN


def test_a_node_that_could_not_run_itself_forgives_everybody_that_time() -> None:
    watch = Watch()
    watch.run(10 * SECOND, late=10 * SECOND - 500 * MILLISECOND)
    assert watch.lost_at is None
    assert watch.peer.state is PeerState.UP
