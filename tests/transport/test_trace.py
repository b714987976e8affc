"""A trace tells what happened in the words of qlog, in a form that its tools read, and within its bound."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from node.impairment.link import LinkSettings
from node.transport.settings import TransportSettings
from node.transport.stats import LOSS_TRIGGERS
from node.transport.trace import Trace
from node.types import MILLISECOND, NodeId
from tests.pair import SERVER, Pair
from tests.transport.qlog import METRICS, REQUIRED, TRIGGERS, parsed

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
    return parsed(dump)


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
    (end,) = [one["data"] for one in parsed(trace.dump()) if one.get("name") == "connectivity:connection_closed"]
    assert (end["owner"], end["trigger"], end["code"]) == ("local", "clean", "ok")


@pytest.mark.must("M71")
def test_what_made_room_is_told_where_it_is_missing() -> None:
    trace = Trace(7, is_client=True, bytes_max=1_000, now=0)
    trace.started(NodeId(bytes(32)), SERVER, 0)
    read = trace.read(0)
    position = trace.records
    for number in range(30):
        trace.packet_dropped("duplicate", number, number * MILLISECOND)
    later = parsed(read + trace.read(position))
    assert later[2]["name"] == "loglevel:warning"
    dropped = trace.records_dropped - (position - 1)
    assert later[2]["data"]["message"].startswith(f"{dropped} records are missing")
    assert [one["data"]["raw"]["length"] for one in later[3:]] == list(range(dropped, 30))
    assert trace.read(trace.records) == b""
    assert parsed(trace.dump())[1]["data"]["message"].startswith(f"{trace.records_dropped} records are missing")


def test_the_document_names_every_event_with_its_fields() -> None:
    document = (Path(__file__).parents[2] / "docs" / "TRANSPORT.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+:\w+)` \| (.*) \|$", document, re.MULTILINE))
    assert set(rows) == set(REQUIRED)
    for name, row in rows.items():
        assert all(f"`{field}`" in row for field in REQUIRED[name]), name
        assert TRIGGERS.get(name, set()) <= set(re.findall(r"\w+", row)), name
    assert all(f"`{metric}`" in rows["recovery:metrics_updated"] for metric in METRICS)


def test_reading_on_yields_the_same_as_reading_at_once() -> None:
    pair = Pair(client_settings=TransportSettings(qlog_bytes_max=BYTES_MAX))
    pair.connect()
    assert pair.client.handle is not None
    trace = pair.client.endpoint.traces.open[pair.client.handle]
    read, position = b"", 0
    for _ in range(20):
        read, position = read + trace.read(position), trace.records
        pair.client.send(bytes(3_000))
        pair.run(0.01)
    assert read + trace.read(position) == trace.dump()


def test_a_trace_can_be_stopped_read_and_begun_anew() -> None:
    pair = Pair()
    pair.connect()
    assert pair.client.handle is not None
    endpoint, handle = pair.client.endpoint, pair.client.handle
    endpoint.stop_trace(handle)
    assert endpoint.start_trace(handle, BYTES_MAX, pair.client.now)
    pair.client.send(b"one")
    pair.run(1)
    assert endpoint.start_trace(handle, BYTES_MAX, pair.client.now), "it goes on"
    first = endpoint.qlog(handle)
    endpoint.stop_trace(handle)
    pair.client.send(b"two")
    pair.run(1)
    assert endpoint.qlog(handle) is None
    assert endpoint.start_trace(handle, BYTES_MAX, pair.client.now)
    started = records(pair)
    assert [one.get("name") for one in started[1:]] == ["connectivity:connection_started"]
    assert [trace.dump() for trace in endpoint.traces.ended] == [first]
