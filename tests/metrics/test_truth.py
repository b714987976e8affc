"""What is exported of a link is what the link really did: the same transport objects, over a virtual link."""

from __future__ import annotations

from random import Random

import pytest

from node.core.snapshot import LinkSnapshot
from node.impairment.link import LinkSettings
from node.metrics.text import render
from node.sim.goodput import add_endpoint
from node.sim.world import World
from node.testnet.metrics.exposition import parse_exposition
from node.transport.events import Delivery, MessageReceived
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, Address
from tests.metrics.samples import node_snapshot, observation

HERE: Address = ("10.0.0.1", 9000)
THERE: Address = ("10.0.0.2", 9000)
ONE_WAY = 15 * MILLISECOND
MESSAGES = 400
BYTES = 1000
HANDSHAKE_PACKETS = 2  # INIT and CONFIRM, which are counted as a handshake


class Told:
    """A sender's metrics after some hundred messages of one packet each, beside what happened on its link.

    sent: packets after the handshake. carried, lost: those that carried a message, and those of them that were lost.
    """

    def __init__(self, loss: float) -> None:
        world = World(Random(7), default=LinkSettings(delay=ONE_WAY), has_trace=False)
        # A window that holds all of it: no packet is about credit.
        settings = TransportSettings(min_rto=25 * MILLISECOND, initial_window=1 << 20)
        client, host = add_endpoint(world, HERE, settings, 1)
        _, receiver = add_endpoint(world, THERE, settings, 2)
        handle = client.connect(THERE, world.now)
        world.drain(host)
        world.run(1)
        world.set_link(HERE, THERE, LinkSettings(delay=ONE_WAY, loss=loss), both=False)
        self._link = world.link(HERE, THERE).stats
        handshake, lost_before = HANDSHAKE_PACKETS, self._link.lost
        self.carried = self.lost = 0
        self._is_carrying, self._lost_then = False, lost_before
        world.taps.append(self._see)
        for _ in range(MESSAGES):
            client.send(handle, Message(bytes(BYTES), Delivery.RELIABLE), world.now)
            world.drain(host)
            world.run(0.05)
        world.run(5)
        self._settle()
        self.sent = self._link.offered - handshake
        self.received = sum(isinstance(event, MessageReceived) for event in receiver.events)
        snapshot = client.snapshot(handle)
        assert snapshot is not None
        link = LinkSnapshot(connection=snapshot, peer_name="there", peer_state="up")
        seen = observation(node_snapshot(link, udp=client.stats))
        self._samples = parse_exposition(render(seen).decode()).samples

    def __getitem__(self, name: str) -> float:
        return sum(value for sample, _, value in self._samples if sample == f"positron_{name}")

    def _see(self, source: Address, _target: Address, data: bytes) -> None:
        if source == HERE:
            self._settle()
            self._is_carrying = len(data) > BYTES
            self.carried += self._is_carrying

    def _settle(self) -> None:
        """The fate of the packet before is known now."""
        self.lost += self._is_carrying and self._link.lost > self._lost_then
        self._is_carrying, self._lost_then = False, self._link.lost


@pytest.fixture(scope="module", params=[0.0, 0.05, 0.1], ids=["no loss", "5 %", "10 %"])
def told(request: pytest.FixtureRequest) -> Told:
    return Told(request.param)


def test_every_packet_and_byte_is_counted(told: Told) -> None:
    assert told.received == MESSAGES
    for name in ("link_sent_packets_total", "sent_packets_total"):
        assert told[name] == told.sent


def test_round_trips_and_timeouts_are_those_of_the_path(told: Told) -> None:
    assert told["link_rtt_min_seconds"] == pytest.approx(0.030)
    # Nothing else happens in virtual time: every sample is the path, and its variance fades.
    assert told["link_rtt_smoothed_seconds"] == pytest.approx(0.030, rel=1e-3)
    # The latest is as it was measured, with what the peer held the acknowledgement back (RFC 9002 §5.1).
    assert 0.030 <= told["link_rtt_latest_seconds"] <= 0.040
    # RFC 9002 §6.2.1: smoothed RTT, four deviations or a millisecond, and the longest delay of an acknowledgement.
    deviations = max(4 * told["link_rtt_variance_seconds"], 0.001)
    assert told["link_rto_computed_seconds"] == pytest.approx(told["link_rtt_smoothed_seconds"] + deviations + 0.010)
    assert told["link_rto_effective_seconds"] == told["link_rto_computed_seconds"]
    assert told["rtt_seconds_sum"] / told["rtt_seconds_count"] == pytest.approx(0.030, rel=1e-3)


def test_losses_are_those_of_the_link_and_each_was_sent_again(told: Told) -> None:
    for name in ("link_lost_packets_total", "lost_packets_total"):
        assert told[name] - told["spurious_retransmissions_total"] == told.lost
    for name in ("link_retransmitted_packets_total", "retransmitted_packets_total"):
        assert told[name] == told.carried - MESSAGES
