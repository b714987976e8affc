from __future__ import annotations

import socket

import pytest

from node.errors import StartError
from node.node.listening import name_the_way_out, open_http_listener, open_tcp_listener

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_a_listener_accepts_on_its_address(host: str) -> None:
    with open_tcp_listener(host, 0) as listener:
        target = "::1" if host == "::" else host
        with socket.create_connection((target, listener.getsockname()[1]), timeout=5):
            pass


def test_a_port_that_is_taken_is_named_with_its_purpose_and_the_way_out() -> None:
    with open_tcp_listener("127.0.0.1", 0) as occupier:
        port = occupier.getsockname()[1]

        with pytest.raises(StartError) as caught:
            open_http_listener("127.0.0.1", port)

    assert str(caught.value) == (
        f"cannot listen on TCP 127.0.0.1:{port} for metrics and API: Address already in use; "
        "choose another port with --metrics-port or POSITRON_METRICS_PORT"
    )


def test_the_way_out_is_the_flag_and_the_variable_of_the_field() -> None:
    assert name_the_way_out("taken", "tcp_port") == ("taken; choose another port with --tcp-port or POSITRON_TCP_PORT")
