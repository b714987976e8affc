from __future__ import annotations

import asyncio
import logging
import socket
from random import Random

import pytest

from node.metrics.readings import RuntimeStats
from node.node import Node
from node.node.log import EVENT_BURST, EventLog
from tests.node.network import network, until


def test_an_event_is_a_constant_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        log.info("peer_up", peer="ab12cd34")

    assert [(record.getMessage(), record.fields) for record in caplog.records] == [("peer_up", {"peer": "ab12cd34"})]  # type: ignore[attr-defined]  # set through extra


def test_one_event_cannot_flood_the_log_and_what_is_withheld_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    runtime = RuntimeStats()
    log = EventLog(runtime)

    with caplog.at_level(logging.INFO, "positron"):
        for _ in range(1000):
            log.warning("peer_misbehaved")
        log.info("another_event")

    passed = len(caplog.records) - 1
    assert EVENT_BURST <= passed <= EVENT_BURST + 5
    assert runtime.log_suppressed == 1000 - passed
    assert runtime.log_messages["warning"] == 1000
    assert caplog.records[-1].getMessage() == "another_event"


def test_the_next_record_tells_how_many_were_withheld(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("node.node.log.time.monotonic", lambda: clock[0])
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        for _ in range(EVENT_BURST + 7):
            log.info("dial_failed")
        clock[0] += 5
        log.info("dial_failed")

    assert caplog.records[-1].fields == {"withheld": 7}  # type: ignore[attr-defined]  # set through extra


def test_a_level_that_is_off_costs_no_budget(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        for _ in range(1000):
            log.debug("datagram")
    with caplog.at_level(logging.DEBUG, "positron"):
        log.debug("datagram")

    assert len(caplog.records) == 1


def test_an_error_brings_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(RuntimeStats())

    with caplog.at_level(logging.INFO, "positron"):
        log.failure("handler_failed", ValueError("why"))

    assert caplog.records[0].exc_info is not None


JUNK = (
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    b"POST /api/v1/broadcast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/send HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"POST /api/v1/send HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
)


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_strangers_that_flood_every_port_with_junk_are_counted_and_hardly_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "positron"):
        async with network(2) as (one, two):
            caplog.clear()
            await flood(one)
            await until(lambda: sum(one.get_stats()["transport"]["udp"]["errors"].values()) > 1000)
            await until(lambda: one.get_stats()["transport"]["tcp"]["handshakes_failed"] > 50)
            assert [peer["state"] for peer in one.peer_manager.active_peers.values()] == ["up"]
            assert two.peer_manager.active_peers
            records = list(caplog.records)
    assert len(records) <= 3 * EVENT_BURST, [record.getMessage() for record in records]
    assert [record for record in records if record.levelno >= logging.ERROR] == []
    assert [record for record in records if not hasattr(record, "fields")] == []


async def flood(node: Node) -> None:
    """Thousands of datagrams and hundreds of connections of nonsense."""
    assert node.udp_transport is not None
    assert node.tcp_transport is not None
    assert node.http_address is not None
    random = Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(5000):
            data = bytearray(random.randbytes(random.choice((1, 16, 40, 200, 1200, 1400))))
            data[0] = random.randrange(16)  # so that some look like one of ours
            sender.sendto(data, node.udp_transport.local_address)
            if number % 50 == 0:
                await asyncio.sleep(0)
    for number in range(200):
        for address in (node.tcp_transport.local_address, node.http_address):
            _, writer = await asyncio.open_connection(*address)
            writer.write(JUNK[number % len(JUNK)] or random.randbytes(100))
            if number % 2:
                writer.transport.abort()
            writer.close()
