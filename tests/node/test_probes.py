"""Probes are counted where they arrive, each once, and nothing else is taken for one."""

from __future__ import annotations

import asyncio
import select
import socket
import time

import pytest

from node.node.probes import ProbeLog, probe

A, B = "10.0.0.1", "10.0.0.2"
ONE = b"12345678"


def test_delays_are_kept_by_measurement_and_sender() -> None:
    log = ProbeLog()
    log.take(A, probe(ONE, 0, 1_000_000), 21_000_000)
    log.take(B, probe(ONE, 0, 0), 5_000_000)
    assert log.received(ONE) == {A: [0.02], B: [0.005]}
    assert log.received(b"other678") == {}


def test_copies_of_a_probe_count_once() -> None:
    log = ProbeLog()
    for _ in range(3):
        log.take(A, probe(ONE, 7, 0), 5)
    assert len(log.received(ONE)[A]) == 1


@pytest.mark.parametrize("data", [b"", b"\xbe\xef" + bytes(98), probe(ONE, 0, 0)[:50], probe(ONE, 0, 0) + b"x"])
def test_nothing_is_counted_that_is_no_probe(data: bytes) -> None:
    log = ProbeLog()
    log.take(A, data, 5)
    assert log.received(ONE) == {}


@pytest.mark.loopback
def test_a_receiver_that_is_late_adds_nothing_to_a_delay() -> None:
    held_up = 0.05

    async def scenario() -> list[float]:
        log = ProbeLog()
        address = "127.0.0.1", log.listen("127.0.0.1")
        assert log.listen("127.0.0.1") == address[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            # A kernel may take a moment until it looks at the clock for each datagram.
            for number in range(10):
                sender.sendto(probe(ONE, number, time.time_ns()), address)
                select.select([], [], [], held_up)
                async with asyncio.timeout(5):
                    while len(log.received(ONE).get("127.0.0.1", [])) <= number:
                        await asyncio.sleep(0)
        log.close()
        return log.received(ONE)["127.0.0.1"]

    assert min(asyncio.run(scenario())) < held_up
