"""The frames of gossip."""

from __future__ import annotations

import pytest

from node.errors import DecodeError
from node.gossip.frames import Act, Urgency, encode, encode_ids, ids_of
from node.messages.frame import parse_frame
from node.messages.packing import Value
from node.messages.types import MessageType
from node.wire.limits import ANNOUNCED_IDS_MAX


def test_the_numbers_are_wire_format() -> None:
    assert [(act.name, int(act)) for act in Act] == [
        ("MESSAGE", 0),
        ("HAVE", 1),
        ("REQUEST", 2),
        ("GRAFT", 3),
        ("PRUNE", 4),
        ("SYNC", 5),
        ("QUESTION", 6),
    ]
    assert [(urgency.name, int(urgency)) for urgency in Urgency] == [("SOON", 0), ("NOW", 1), ("MISSED", 2)]


def test_a_frame_names_its_type_and_what_it_does() -> None:
    frame = parse_frame(encode(Act.PRUNE, 10_000))
    assert (frame.kind, frame.fields) == (MessageType.GOSSIP_MESSAGE, [4, 10_000])


def test_ids_travel_as_a_list() -> None:
    fields = parse_frame(encode_ids(Act.HAVE, [b"a" * 16, b"b" * 16], int(Urgency.NOW))).fields
    assert fields == [1, [b"a" * 16, b"b" * 16], 1]


@pytest.mark.parametrize("listed", [[b"short"], ["text of 16 chars"], [1], [b"a" * 16] * (ANNOUNCED_IDS_MAX + 1)])
def test_a_list_that_is_none_of_ids_is_refused(listed: list[Value]) -> None:
    with pytest.raises(DecodeError):
        ids_of(listed)
