from __future__ import annotations

import errno
import socket

import pytest

from node.errors import StartError
from node.node.listening import open_http_listener, open_tcp_listener, with_the_way_out

pytestmark = pytest.mark.loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_a_listener_accepts_on_its_address(host: str) -> None:
    with open_tcp_listener(host, 0) as listener:
        target = "::1" if host == "::" else host
        with socket.create_connection((target, listener.getsockname()[1]), timeout=5):
            pass


@pytest.mark.asyncio
async def test_a_port_that_is_taken_is_named_with_its_purpose_and_the_way_out() -> None:
    with open_tcp_listener("127.0.0.1", 0) as occupier:
        port = occupier.getsockname()[1]

        with pytest.raises(StartError) as caught:
            await open_http_listener("127.0.0.1", port)

    assert str(caught.value) == (
        f"cannot listen on TCP 127.0.0.1:{port} for metrics and API: Address already in use; "
        "choose another port with --metrics-port or POSITRON_METRICS_PORT"
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
async def test_an_address_of_somebody_else_is_not_blamed_on_the_port(host: str) -> None:
    with pytest.raises(StartError) as caught:
        await open_http_listener(host, 9464)

    text = str(caught.value)
    assert text.startswith(f"cannot listen on TCP {host}:9464")
    assert text.endswith("; choose another address with --metrics-host or POSITRON_METRICS_HOST")
    assert "handshake" not in text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "port with --tcp-port or POSITRON_TCP_PORT"),
        (errno.EACCES, "port with --tcp-port or POSITRON_TCP_PORT"),
        (errno.EADDRNOTAVAIL, "address with --host or POSITRON_HOST"),
    ],
)
def test_the_way_out_is_the_flag_and_the_variable_of_the_field_in_the_way(number: int, words: str) -> None:
    error = with_the_way_out("refused", OSError(number, "why"), host="host", port="tcp_port")

    assert str(error) == f"refused; choose another {words}"
