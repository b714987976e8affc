"""Probes are counted where they arrive, each once, and nothing else is taken for one."""

from __future__ import annotations

from node.node.probes import PROBE_BYTES, ProbeLog, probe
from node.transport.packet import Datagram

A, B = ("10.0.0.1", 1), ("10.0.0.2", 1)
ONE = b"12345678"


def test_delays_are_kept_by_measurement_and_sender() -> None:
    log = ProbeLog(is_on=True)
    assert log.takes(Datagram(A, probe(ONE, 0, 1_000_000)), 21_000_000)
    assert log.takes(Datagram(B, probe(ONE, 0, 0)), 5_000_000)
    assert log.received(ONE) == {"10.0.0.1": [0.02], "10.0.0.2": [0.005]}
    assert log.received(b"other678") == {}


def test_copies_of_a_probe_count_once() -> None:
    log = ProbeLog(is_on=True)
    for _ in range(3):
        log.takes(Datagram(A, probe(ONE, 7, 0)), 5)
    assert len(log.received(ONE)["10.0.0.1"]) == 1


def test_probes_that_the_kernel_joined_are_all_counted() -> None:
    log = ProbeLog(is_on=True)
    data = b"".join(probe(ONE, number, 0) for number in range(5))
    assert log.takes(Datagram(A, data, segment_size=PROBE_BYTES), 5)
    assert len(log.received(ONE)["10.0.0.1"]) == 5


def test_nothing_is_taken_that_is_no_probe_or_while_probes_are_off() -> None:
    assert not ProbeLog(is_on=True).takes(Datagram(A, b"\xbe\xef" + bytes(98)), 5)
    assert not ProbeLog().takes(Datagram(A, probe(ONE, 0, 0)), 5)
    log = ProbeLog(is_on=True)
    assert log.takes(Datagram(A, probe(ONE, 0, 0)[:50]), 5)
    assert log.received(ONE) == {}


def test_a_packet_that_was_joined_to_a_probe_reaches_the_protocol() -> None:
    log = ProbeLog(is_on=True)
    data = probe(ONE, 0, 0) + bytes(PROBE_BYTES)
    assert not log.takes(Datagram(A, data, segment_size=PROBE_BYTES), 5)
