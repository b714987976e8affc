from __future__ import annotations

import json

import pytest

from node.core.events import DataReceived, PeerDown, PeerUp
from node.messages.packing import Value, pack
from node.node.chronicle import MESSAGES_KEPT_BYTES_MAX, MESSAGES_KEPT_MAX, Chronicle, readable
from node.types import MILLISECOND, SECOND, NodeId
from node.wire.limits import PAYLOAD_BYTES_MAX

AUTHOR = NodeId(bytes(31) + b"\x02")
WALL_OFFSET = 1_000_000_000 * SECOND


def received(payload: Value, number: int = 1) -> DataReceived:
    return DataReceived(
        message_id=f"{number:032x}",
        origin=AUTHOR,
        payload=payload,
        packed=pack(payload),
        hops=2,
        age=3 * MILLISECOND,
        is_broadcast=True,
    )


def test_the_history_tells_what_happened_in_order_on_both_clocks() -> None:
    chronicle = Chronicle(WALL_OFFSET)
    address = ("192.0.2.1", 9000)
    chronicle.started(AUTHOR, 1 * SECOND)
    chronicle.peer_up(PeerUp(node_id=AUTHOR, name="node-2", address=address, aliases=()), 2 * SECOND)
    chronicle.published("ab" * 16, 3 * SECOND)
    chronicle.delivered(received({"n": 1}), 4 * SECOND)
    chronicle.peer_down(PeerDown(node_id=AUTHOR, name="node-2", address=address, reason="left"), 5 * SECOND)

    events = chronicle.history.page(None, 10)["events"]

    assert [event["kind"] for event in events] == ["started", "peer_up", "published", "delivered", "peer_down"]
    assert [event["number"] for event in events] == [1, 2, 3, 4, 5]
    assert [event["monotonic"] for event in events] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert events[0]["at"] == 1_000_000_001.0
    assert events[2]["message_id"] == "ab" * 16
    assert events[3] | {"number": 0, "at": 0} == {
        "number": 0,
        "kind": "delivered",
        "at": 0,
        "monotonic": 4.0,
        "message_id": f"{1:032x}",
        "origin": AUTHOR.hex(),
        "hops": 2,
        "age": 0.003,
        "is_broadcast": True,
    }
    assert (events[4]["node_id"], events[4]["reason"]) == (AUTHOR.hex(), "left")
    json.dumps(list(events), allow_nan=False)


def test_a_message_is_kept_as_it_came_whatever_the_application_does_with_it() -> None:
    chronicle = Chronicle(WALL_OFFSET)
    payload: dict[str, Value] = {"raw": b"\x00\xff", "list": [1, None]}
    chronicle.delivered(received(payload), SECOND)
    payload.clear()

    (message,) = chronicle.messages.tail(1)["messages"]

    assert message["data"] == {"raw": {"base64": "AP8="}, "list": [1, None]}
    assert message["origin"] == AUTHOR.hex()
    json.dumps(message, allow_nan=False)


def test_messages_are_bounded_in_number_and_in_bytes() -> None:
    chronicle = Chronicle(WALL_OFFSET)
    for number in range(MESSAGES_KEPT_MAX + 5):
        chronicle.delivered(received({}, number), SECOND)
    assert len(chronicle.messages.page(None, 10_000)["messages"]) == MESSAGES_KEPT_MAX

    for number in range(100):
        chronicle.delivered(received("x" * PAYLOAD_BYTES_MAX, number), SECOND)
    kept = chronicle.messages.page(None, 10_000)["messages"]
    assert sum(len(message["data"]) for message in kept if isinstance(message["data"], str)) <= MESSAGES_KEPT_BYTES_MAX


def test_two_lives_of_a_node_have_cursors_of_their_own() -> None:
    assert Chronicle(0).history.tail(0)["cursor"] != Chronicle(0).history.tail(0)["cursor"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [b"", {"b": b"\x01"}]}, {"a": [{"base64": ""}, {"b": {"base64": "AQ=="}}]}),
        ("text", "text"),
        (None, None),
        (1.5, 1.5),
    ],
)
def test_bytes_become_text_wherever_they_stand(value: Value, text: object) -> None:
    assert readable(value) == text
