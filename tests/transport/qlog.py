"""Reads qlog files as strictly as a tool may: RFC 7464 around each record, and the schema within."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["METRICS", "REQUIRED", "TRIGGERS", "parsed"]

SEPARATOR = b"\x1e"

PACKET = {"header", "raw"}
REQUIRED: dict[str, set[str]] = {
    "transport:packet_sent": PACKET,
    "transport:packet_received": PACKET,
    "transport:packet_dropped": {"raw", "trigger"},
    "recovery:packet_lost": {"header", "trigger"},
    "recovery:metrics_updated": set(),
    "recovery:congestion_state_updated": {"new"},
    "recovery:loss_timer_updated": {"event_type", "timer_type"},
    "connectivity:connection_started": {"src_ip", "dst_ip", "dst_port", "protocol", "peer_id"},
    "connectivity:connection_closed": {"owner", "trigger", "connection_code", "code", "reason"},
    "loglevel:warning": {"message"},
}
"""Every event and its fields, as docs/TRANSPORT.md names them."""

METRICS = {
    "min_rtt", "smoothed_rtt", "latest_rtt", "rtt_variance", "congestion_window", "bytes_in_flight", "ssthresh",
}  # fmt: skip

TRIGGERS = {
    "transport:packet_dropped": {"duplicate", "payload_decrypt_error"},
    "recovery:packet_lost": {"reordering_threshold", "time_threshold", "pto_expired"},
    "connectivity:connection_closed": {"clean", "application", "error", "idle_timeout", "stateless_reset"},
}


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The records of one file, header first; AssertionError for whatever breaks a rule."""
    assert data.startswith(SEPARATOR)
    texts = data.split(SEPARATOR)[1:]
    assert all(text.endswith(b"\n") and text.count(b"\n") == 1 for text in texts), "RFC 7464"
    records: list[dict[str, Any]] = [json.loads(text, parse_constant=_no_constant) for text in texts]
    _check_header(records[0])
    before = 0.0
    for record in records[1:]:
        _check_event(record)
        assert record["time"] >= before, "timestamps are monotone"
        before = record["time"]
    return records


def _check_header(header: dict[str, Any]) -> None:
    assert (header["qlog_version"], header["qlog_format"]) == ("0.3", "JSON-SEQ")
    assert isinstance(header["title"], str)
    trace = header["trace"]
    assert trace["vantage_point"]["type"] in ("client", "server")
    common = trace["common_fields"]
    assert common["time_format"] == "relative"
    assert common["reference_time"] >= 0
    assert common["protocol_type"] == ["POSITRON"]


def _check_event(record: dict[str, Any]) -> None:
    assert set(record) == {"time", "name", "data"}
    name, data = record["name"], record["data"]
    assert REQUIRED[name] <= set(data), record
    assert None not in data.values(), record
    if "trigger" in data:
        assert data["trigger"] in TRIGGERS[name], record
    if "header" in data:
        assert data["header"]["packet_type"] == "1RTT"
        assert data["header"]["packet_number"] >= 0
    if "raw" in data:
        assert data["raw"]["length"] >= 0
    if name == "recovery:metrics_updated":
        assert data
        assert set(data) <= METRICS, record


def _no_constant(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")
