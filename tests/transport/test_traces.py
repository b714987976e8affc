"""Traces are kept for as long as their connections, and the last ones for a while longer, within a bound."""

from __future__ import annotations

import pytest

from node.impairment.link import LinkSettings
from node.transport.settings import TransportSettings
from node.transport.trace import Trace
from node.transport.traces import ENDED_BYTES_MAX, ENDED_MAX, Traces
from node.types import MILLISECOND, NodeId
from tests.pair import SERVER, Pair
from tests.transport.qlog import parsed

BYTES_MAX = 200_000


def test_a_trace_outlives_its_connection_and_few_do() -> None:
    pair = Pair(client_settings=TransportSettings(qlog_bytes_max=BYTES_MAX))
    endpoint = pair.client.endpoint
    for _ in range(ENDED_MAX + 3):
        pair.client.events.clear()
        pair.server.events.clear()
        pair.connect()
        pair.client.disconnect()
        pair.run(2)
    assert endpoint.traces.open == {}
    assert len(endpoint.traces.ended) == ENDED_MAX
    newest = endpoint.traces.of_peer(pair.server.endpoint.identity.public_key)
    assert newest is endpoint.traces.ended[-1]
    assert parsed(newest.dump())[-1]["name"].startswith(("connectivity:", "transport:"))


def test_a_handshake_that_comes_to_nothing_leaves_no_trace() -> None:
    pair = Pair(
        link=LinkSettings(delay=10 * MILLISECOND, loss=1.0), client_settings=TransportSettings(qlog_bytes_max=BYTES_MAX)
    )
    pair.client.connect(SERVER)
    assert len(pair.client.endpoint.traces.open) == 1
    pair.run(30)
    traces = pair.client.endpoint.traces
    assert (traces.open, list(traces.ended)) == ({}, [])


@pytest.mark.must("M71")
def test_traces_that_are_over_are_bounded_in_bytes() -> None:
    traces = Traces(0)
    for handle in range(6):
        trace = traces.open[handle] = Trace(handle, is_client=True, bytes_max=ENDED_BYTES_MAX // 2, now=0)
        trace.started(NodeId(bytes(32)), SERVER, 0)
        trace.packet_dropped("x" * (ENDED_BYTES_MAX // 2 - 1_000), 1, 0)
        traces.end(handle)
        assert sum(one.bytes_held for one in traces.ended) <= ENDED_BYTES_MAX
    assert [trace.handle for trace in traces.ended] == [4, 5]
