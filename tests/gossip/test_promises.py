"""Who announces and does not send: noticed when it goes on for long, and never where it can be bad luck."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from node.gossip.actions import Blame, LetDown, Send
from node.gossip.frames import Act, Urgency
from node.gossip.promises import Promises
from node.messages.envelope import Sealer
from node.messages.packing import pack
from node.messages.types import MessageType
from node.types import SECOND, Instant, NodeId
from node.wire.limits import BROKEN_MIN, PROMISE_TIME
from tests.gossip.world import EPOCH, STRANGER, WALL, Mesh, Single

PEER = NodeId(b"p" * 32)
DIGEST = bytes(8)


def ask(promises: Promises, now: Instant, message_id: bytes = b"i" * 16) -> None:
    assert promises.asked(PEER, message_id)
    promises.acknowledged(PEER, message_id, now)


def test_promises_broken_in_a_row_count_from_the_third_on() -> None:
    promises, verdicts = Promises(), []
    for turn in range(BROKEN_MIN + 1):
        ask(promises, turn * PROMISE_TIME)
        assert not promises.is_broken(PEER, (turn + 1) * PROMISE_TIME - 1)
        verdicts.append(promises.is_broken(PEER, (turn + 1) * PROMISE_TIME))
    assert verdicts == [False] * (BROKEN_MIN - 1) + [True, True]


def test_one_request_is_watched_at_a_time() -> None:
    promises = Promises()
    assert promises.asked(PEER, b"a" * 16)
    assert not promises.asked(PEER, b"b" * 16)
    promises.acknowledged(PEER, b"b" * 16, 0)
    assert not promises.is_broken(PEER, 9 * PROMISE_TIME)


@pytest.mark.parametrize("event", ["kept", "good will", "request lost", "gone"])
def test_what_happens_to_honest_peers_breaks_no_promise(event: str) -> None:
    promises = Promises()
    for turn in range(3 * BROKEN_MIN):
        now = turn * PROMISE_TIME
        ask(promises, now)
        match event:
            case "kept":
                promises.served(PEER, b"i" * 16)
            case "good will":
                promises.served(PEER)
            case "request lost":
                promises.withdrawn(PEER, b"i" * 16)
            case _:
                promises.forget(PEER)
        assert not promises.is_broken(PEER, now + PROMISE_TIME)


def test_a_message_of_another_number_keeps_no_promise() -> None:
    promises = Promises()
    ask(promises, 0)
    promises.served(PEER, b"j" * 16)
    promises.is_broken(PEER, PROMISE_TIME)
    ask(promises, PROMISE_TIME)
    assert [promises.is_broken(PEER, 2 * PROMISE_TIME) for _ in range(2)] == [False, False]
    ask(promises, 2 * PROMISE_TIME)
    assert promises.is_broken(PEER, 3 * PROMISE_TIME)


class Asked:
    """A node that is told of messages by one peer, and asks for them; requests are acknowledged unless told."""

    def __init__(self) -> None:
        self.single = Single()
        self.now: Instant = 0
        self.number = 0
        self.found: list[Any] = []

    def turn(self, *, is_acked: bool = True) -> bytes:
        """One announcement, the request for it, and time until the promise is due."""
        single, node = self.single, self.single.node
        self.number += 1
        message_id = self.number.to_bytes(16, "big")
        node.receive(single.peer, [int(Act.HAVE), [message_id], int(Urgency.NOW)], self.now)
        self.follow(is_acked=is_acked)
        return message_id

    def follow(self, *, is_acked: bool = True) -> None:
        for action in self.single.actions():
            if isinstance(action, Send) and action.is_request:
                for message_id in action.message_ids:
                    self.single.node.request_sent(action.peers[0], message_id, self.now, is_acked=is_acked)
            elif isinstance(action, LetDown | Blame):
                self.found.append(action)

    def wait(self) -> None:
        self.now += PROMISE_TIME + SECOND
        self.single.node.handle_timeout(self.now)
        self.follow()

    def beat(self) -> None:
        self.single.node.digest_heard(self.single.peer, DIGEST, self.now)
        self.follow()


def test_a_peer_that_announces_and_never_sends_is_evidence_each_time_from_the_third_on() -> None:
    asked = Asked()
    for _ in range(BROKEN_MIN + 2):
        asked.turn()
        asked.wait()
        asked.beat()
    assert asked.found == [LetDown(peer=asked.single.peer)] * 3


def test_a_peer_that_falls_silent_is_dead_or_cut_off_and_no_liar() -> None:
    asked = Asked()
    for _ in range(3 * BROKEN_MIN):
        asked.turn()
    for _ in range(3 * BROKEN_MIN):
        asked.wait()
    asked.beat()
    assert asked.found == []


def test_requests_that_never_arrived_accuse_nobody() -> None:
    asked = Asked()
    for _ in range(3 * BROKEN_MIN):
        asked.turn(is_acked=False)
        asked.now += PROMISE_TIME + SECOND
        asked.beat()
    assert asked.found == []


def test_a_peer_that_passes_on_anything_else_is_busy_and_no_liar() -> None:
    asked, sealer = Asked(), Sealer(STRANGER, network_id="net", epoch=EPOCH)
    for _ in range(3 * BROKEN_MIN):
        asked.turn()
        asked.single.message(sealer.seal(MessageType.GOSSIP_MESSAGE, pack({}), WALL + asked.now), now=asked.now)
        asked.wait()
        asked.beat()
    assert asked.found == []


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.4])
def test_in_a_network_that_loses_much_honest_nodes_let_nobody_down(loss: float) -> None:
    mesh = Mesh(6)
    random = Random(7)
    mesh.loses = lambda *_: random.random() < loss
    mesh.link_all()
    for number in range(60):
        mesh.publish(number % 6, {"body": bytes(20_000 if number % 2 else 100)})
        mesh.run(1)
    mesh.run(15)
    assert mesh.blamed == []
