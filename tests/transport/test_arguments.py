from __future__ import annotations

import pytest

from node.errors import UsageError
from node.transport.arguments import (
    TIMEOUT_MAX,
    checked_address,
    checked_channel,
    checked_data,
    checked_listening,
    checked_priority,
    checked_timeout,
)
from node.transport.packet import Priority
from node.types import SECOND


def test_what_its_owner_may_change_is_copied() -> None:
    buffer = bytearray(b"message")
    for data in (buffer, memoryview(buffer)):
        assert checked_data(data) == b"message"
    taken = checked_data(buffer)
    buffer[:] = b"another"
    assert taken == b"message"
    whole = b"message"
    assert checked_data(whole) is whole


@pytest.mark.parametrize("data", ["text", None, 5, [1, 2], object()])
@pytest.mark.must("M49")
def test_what_is_no_bytes_is_named_by_its_type(data: object) -> None:
    with pytest.raises(UsageError, match=f"data of type {type(data).__name__}: allowed are bytes"):
        checked_data(data)


def test_an_address_may_be_a_list() -> None:
    assert checked_address(["127.0.0.1", 9000]) == ("127.0.0.1", 9000)
    assert checked_address(("node-1", 65535)) == ("node-1", 65535)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:80", None, 5, (), ("127.0.0.1",), ("127.0.0.1", 1, 2), ("", 80), ("::1", "80"), (b"::1", 80), ("a", 0),
     ("a", -1), ("a", 65536), ("a" * 1000, 0), ("::1", True), ("127.0.0.1\0", 80)],
)  # fmt: skip
@pytest.mark.must("M49")
def test_what_is_no_address_is_quoted_with_what_is_allowed(address: object) -> None:
    with pytest.raises(UsageError, match=r"allowed is \(host, port\) with a port from 1 to 65535") as caught:
        checked_address(address)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e300, "5", None, TIMEOUT_MAX + 1, [5], True])
@pytest.mark.must("M49")
def test_what_is_no_time_to_wait_is_quoted_with_what_is_allowed(seconds: object) -> None:
    with pytest.raises(UsageError, match=r"timeout .*: allowed is more than 0 and at most 31536000 seconds"):
        checked_timeout(seconds)


@pytest.mark.parametrize(
    ("host", "port", "complaint"),
    [
        (None, 0, "host None: allowed is a text"),
        (b"::1", 0, "host b'::1': allowed is a text"),
        ("::1", "9000", "port '9000': allowed is a whole number from 0 to 65535"),
        ("::1", 9.5, "port 9.5: allowed is a whole number from 0 to 65535"),
        ("::1", True, "port True: allowed is a whole number from 0 to 65535"),
    ],
)
@pytest.mark.must("M49")
def test_where_nobody_can_listen_is_quoted_with_what_is_allowed(host: object, port: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        checked_listening(host, port)


def test_seconds_become_nanoseconds() -> None:
    assert checked_timeout(2) == 2 * SECOND
    assert checked_timeout(0.5) == SECOND // 2


@pytest.mark.parametrize("priority", [0, "CONTROL", None, 1.5])
@pytest.mark.must("M49")
def test_a_priority_is_one_of_those_there_are(priority: object) -> None:
    with pytest.raises(UsageError, match=f"^priority {priority!r}: allowed is one of Priority.CONTROL, Priority.OWN"):
        checked_priority(priority)
    assert checked_priority(Priority.BULK) is Priority.BULK


@pytest.mark.parametrize("channel", [-1, 1 << 62, True, 0.0, "0", None])
@pytest.mark.must("M49")
def test_what_is_no_channel_is_quoted_with_what_is_allowed(channel: object) -> None:
    with pytest.raises(UsageError, match=r"channel .*: allowed is a whole number from 0 to 4611686018427387903"):
        checked_channel(channel)
    assert checked_channel((1 << 62) - 1) == (1 << 62) - 1
