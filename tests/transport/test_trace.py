"""A trace tells what happened in the words of qlog, in a form that its tools read, and within its bound."""

from __future__ import annotations

import json
from typing import Any

import pytest

from node.impairment.link import LinkSettings
from node.transport.settings import TransportSettings
from node.transport.stats import LOSS_TRIGGERS
from node.types import MILLISECOND
from tests.pair import Pair

BYTES_MAX = 200_000


def traced(*, loss: float = 0.05, bytes_max: int = BYTES_MAX) -> Pair:
    settings = TransportSettings(qlog_bytes_max=bytes_max)
    pair = Pair(link=LinkSettings(delay=10 * MILLISECOND, loss=loss), client_settings=settings)
    pair.connect()
    for _ in range(20):
        pair.client.send(bytes(20_000))
        pair.run(0.1)
    return pair


def records(pair: Pair) -> list[dict[str, Any]]:
    assert pair.client.handle is not None
    dump = pair.client.endpoint.qlog(pair.client.handle)
    assert dump is not None
    assert dump.startswith(b"\x1e")
    texts = dump.split(b"\x1e")[1:]
    assert all(text.endswith(b"\n") for text in texts)
    return [json.loads(text) for text in texts]


def test_header_names_version_format_and_side() -> None:
    header = records(traced())[0]
    assert (header["qlog_version"], header["qlog_format"]) == ("0.3", "JSON-SEQ")
    assert header["trace"]["vantage_point"]["type"] == "client"
    assert header["trace"]["common_fields"]["time_format"] == "relative"


def test_events_are_in_order_and_of_every_kind() -> None:
    pair = traced(loss=0.1)
    assert pair.client.handle is not None
    events = records(pair)[1:]
    times = [event["time"] for event in events]
    assert times == sorted(times)
    names = {event["name"] for event in events}
    assert names >= {
        "connectivity:connection_started",
        "transport:packet_sent",
        "transport:packet_received",
        "recovery:packet_lost",
        "recovery:metrics_updated",
        "recovery:congestion_state_updated",
        "recovery:loss_timer_updated",
    }


def test_losses_and_packets_agree_with_the_counters() -> None:
    pair = traced(loss=0.1)
    events = records(pair)[1:]
    stats = pair.client.connection.stats
    by_name = {name: [event for event in events if event["name"] == name] for name in {e["name"] for e in events}}
    assert len(by_name["transport:packet_received"]) == stats.packets_received
    lost = [event["data"]["trigger"] for event in by_name["recovery:packet_lost"]]
    assert {trigger: lost.count(trigger) for trigger in LOSS_TRIGGERS} == stats.packets_lost


def test_a_replayed_packet_is_told_of() -> None:
    settings = TransportSettings(qlog_bytes_max=BYTES_MAX)
    pair = Pair(link=LinkSettings(delay=10 * MILLISECOND, duplicate=1.0), client_settings=settings)
    pair.connect()
    pair.client.send(b"hello")
    pair.run(1)
    dropped = [event["data"]["trigger"] for event in records(pair) if event.get("name") == "transport:packet_dropped"]
    assert set(dropped) == {"duplicate"}


@pytest.mark.must("M71")
def test_it_keeps_to_its_bound_and_says_what_it_dropped() -> None:
    pair = traced(bytes_max=10_000)
    assert pair.client.handle is not None
    dump = pair.client.endpoint.qlog(pair.client.handle)
    assert dump is not None
    assert len(dump) <= 10_000 + 500
    trace = pair.client.connection.sending.trace
    assert trace is not None
    assert trace.records_dropped > 0
    assert records(pair)[-1]["time"] > 1_000


@pytest.mark.must("M71")
def test_nothing_is_recorded_unless_asked_for_and_it_can_be_asked_for_later() -> None:
    pair = Pair()
    pair.connect()
    assert pair.client.handle is not None
    assert pair.client.endpoint.qlog(pair.client.handle) is None
    assert pair.client.endpoint.start_trace(pair.client.handle, BYTES_MAX, pair.client.now)
    assert not pair.client.endpoint.start_trace(999, BYTES_MAX, pair.client.now)
    pair.client.send(b"hello")
    pair.run(1)
    assert {event.get("name") for event in records(pair)} >= {"transport:packet_sent", "recovery:metrics_updated"}


def test_the_end_is_told_with_its_reason() -> None:
    pair = traced(loss=0.0)
    trace = pair.client.connection.sending.trace
    assert trace is not None
    pair.client.disconnect()
    last = json.loads(trace.dump().split(b"\x1e")[-1])
    names = [json.loads(text)["name"] for text in trace.dump().split(b"\x1e")[2:]]
    assert "connectivity:connection_closed" in names
    assert last["time"] >= 0
