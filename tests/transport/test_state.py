"""A connection only ever moves down the list of its states."""

from __future__ import annotations

import pytest

from node.impairment.link import LinkSettings
from node.transport.connection import Connection
from node.transport.settings import TransportSettings
from node.transport.state import ConnectionState
from node.types import MILLISECOND, SECOND
from tests.pair import SERVER, Pair

ORDER = list(ConnectionState)


class History:
    """Notes the states of every connection of a pair after each event in its world."""

    def __init__(self, pair: Pair) -> None:
        self.states: dict[Connection, list[ConnectionState]] = {}
        self._pair = pair

    def run(self, seconds: float) -> None:
        self._pair.run_until(self._note, seconds)

    def _note(self) -> bool:
        for side in self._pair.sides:
            for connection in side.endpoint.connections.values():
                self.states.setdefault(connection, [])
        for connection, states in self.states.items():
            if not states or states[-1] is not connection.state:
                states.append(connection.state)
        return False


def test_a_connection_that_is_closed_passes_through_every_state() -> None:
    pair = Pair()
    history = History(pair)
    pair.client.connect(SERVER)
    history.run(1)
    pair.client.disconnect()
    history.run(5)
    ours, theirs = history.states.values()
    assert ours == ORDER
    assert theirs == [ConnectionState.HANDSHAKE, ConnectionState.ESTABLISHED, ConnectionState.CLOSED]


def test_a_handshake_that_fails_skips_what_lies_between() -> None:
    pair = Pair(link=LinkSettings(loss=1.0))
    history = History(pair)
    pair.client.connect(SERVER)
    history.run(15)
    assert list(history.states.values()) == [[ConnectionState.HANDSHAKE, ConnectionState.CLOSED]]


@pytest.mark.parametrize("seed", range(10))
def test_on_a_bad_network_no_state_comes_back(seed: int) -> None:
    pair = Pair(
        seed=seed,
        link=LinkSettings(delay=20 * MILLISECOND, loss=0.3, duplicate=0.3),
        client_settings=TransportSettings(min_rto=50 * MILLISECOND, idle_timeout=3 * SECOND),
    )
    history = History(pair)
    for _ in range(4):
        pair.client.connect(SERVER)
        history.run(1)
        pair.server.endpoint.shutdown(pair.server.now)
        pair.server.drain()
    history.run(20)
    assert len(history.states) >= 8
    for states in history.states.values():
        assert states == sorted(states, key=ORDER.index)
