"""A node that misbehaves on purpose, for a time: what an attacker with a key of its own can do on its links.

Stands at the mouth of a running machine: frames are withheld, said again, forged or invented, while handshakes and
heartbeats stay as they are, so that the others take the node for a peer. For testnets; only `Chaos` begins it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from node.core.machine import Machine
from node.errors import DecodeError, PositronError
from node.gossip.frames import Act, Urgency, encode, encode_ids
from node.messages.envelope import Envelope, Sealer, parse_envelope
from node.messages.frame import is_frame, parse_frame
from node.messages.packing import Value, pack
from node.messages.types import Carrier, MessageType
from node.peers.table import Peer
from node.transport.endpoint import Endpoint
from node.transport.events import Delivery, Event, MessageAcknowledged, MessageReceived
from node.transport.packet import Message
from node.transport.stream import StreamEndpoint
from node.types import SECOND, Duration, Instant
from node.wire.limits import ANNOUNCED_IDS_MAX

__all__ = ["BEHAVIOURS", "Hostile", "say"]

HEARD_MAX = 500
"""Messages of others that are kept for later misuse."""

ACT_INTERVAL = 0.1
RATE_MAX = 10_000.0
DEADLINE: Duration = 5 * SECOND


class Body(Protocol):
    """The node that is made to misbehave."""

    machine: Machine
    wall_offset: Duration

    def now(self) -> Instant: ...
    def pump(self) -> None: ...


class Hostile:
    """One behaviour of one node, from its making until `end`. rate: misdeeds per second, to each peer."""

    def __init__(self, body: Body, behaviour: str, rate: float) -> None:
        self.withheld = 0
        self.said = 0
        self._body = body
        self._per_act = max(1, round(min(rate, RATE_MAX) * ACT_INTERVAL))
        self._behaviour = behaviour
        self._heard: deque[tuple[bytes, bytes]] = deque(maxlen=HEARD_MAX)
        self._random = random.SystemRandom()
        machine = body.machine
        self._own_id = machine.identity.public_key
        epoch = (body.now() + body.wall_offset) // 1_000_000 + 1
        self._sealer = Sealer(machine.identity, network_id=machine.settings.network_id, epoch=epoch)
        self._endpoints = [one for one in (machine.udp, machine.tcp) if one is not None]
        for endpoint in self._endpoints:
            self._listen(endpoint)
        self._timer = asyncio.get_running_loop().call_later(ACT_INTERVAL, self._act)

    def end(self) -> None:
        """The node behaves again."""
        self._timer.cancel()
        for endpoint in self._endpoints:
            for name in ("send", "poll_event"):
                delattr(endpoint, name)

    # --- what it says -----------------------------------------------------------------------------------------------

    def _act(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(ACT_INTERVAL, self._act)
        for _ in range(self._per_act):
            BEHAVIOURS[self._behaviour](self)
        self._body.pump()

    def say(self, frame: bytes) -> None:
        """Says anything to every peer, past every service of the node."""
        for peer in self._body.machine.peers.table.active():
            self.said += say(self._body, peer, frame)

    def flood(self) -> None:
        """Valid messages of its own, ids of nothing, requests, and noise."""
        self.say(_message(self._sealed({"flood": os.urandom(200)})))
        ids = [os.urandom(16) for _ in range(ANNOUNCED_IDS_MAX)]
        self.say(encode_ids(Act.HAVE, ids, int(Urgency.NOW)))
        self.say(encode_ids(Act.REQUEST, ids))
        self.say(os.urandom(self._random.randrange(1, 200)))

    def replay(self) -> None:
        """What others said, again, with another hop count."""
        if self._heard:
            body, signature = self._random.choice(self._heard)
            self.say(encode(Act.MESSAGE, self._random.randrange(1, 8), body, signature))

    def forge(self) -> None:
        """What others said, altered."""
        sealed = self._sealed({"forged": os.urandom(16)})
        body, signature = self._random.choice(self._heard) if self._heard else (sealed.body, sealed.signature)
        changed = bytearray(signature)
        changed[self._random.randrange(len(changed))] ^= 1
        self.say(encode(Act.MESSAGE, 1, body, bytes(changed)))

    def keep_silent(self) -> None:
        """Nothing: what it does not pass on is its misdeed."""

    def _sealed(self, payload: Mapping[str, Value]) -> Envelope:
        wall = self._body.now() + self._body.wall_offset
        return self._sealer.seal(MessageType.GOSSIP_MESSAGE, pack(dict(payload)), wall)

    # --- what it hears and withholds --------------------------------------------------------------------------------

    def _listen(self, endpoint: Endpoint | StreamEndpoint) -> None:
        send, poll_event = endpoint.send, endpoint.poll_event
        pretended: deque[Event] = deque()

        def tapped_send(connection: int, message: Message, now: Instant) -> int:
            if self._behaviour == "silent_dropper" and self._is_of_others(message.data):
                # The node believes that it was acknowledged; no other message has such a number.
                self.withheld += 1
                pretended.append(MessageAcknowledged(connection=connection, message_id=-self.withheld))
                return -self.withheld
            return send(connection, message, now)

        def tapped_poll_event() -> Event | None:
            if pretended:
                return pretended.popleft()
            event = poll_event()
            if isinstance(event, MessageReceived):
                match _gossip_fields(event.data):
                    case [int(act), int(), bytes(body), bytes(signature), *_] if act == Act.MESSAGE:
                        self._heard.append((body, signature))
                    case _:
                        pass
            return event

        # The instance's own attributes come before the methods of its class, until `end` takes them away.
        setattr(endpoint, "send", tapped_send)  # noqa: B010
        setattr(endpoint, "poll_event", tapped_poll_event)  # noqa: B010

    def _is_of_others(self, data: bytes) -> bool:
        match _gossip_fields(data):
            case [int(act), int(), bytes(body), bytes(signature), *_] if act == Act.MESSAGE:
                return parse_envelope(body, signature).origin != self._own_id
            case _:
                return False


def say(body: Body, peer: Peer, frame: bytes) -> bool:
    """Says anything to one peer, past every service of the node; whether a transport took it."""
    now, machine = body.now(), body.machine
    link = peer.link(Carrier.UDP) or peer.link(Carrier.TCP)
    endpoint = machine.udp if link is not None and link.carrier is Carrier.UDP else machine.tcp
    if link is None or endpoint is None:
        return False
    try:
        endpoint.send(link.connection, Message(frame, Delivery.RELIABLE, now + DEADLINE), now)
    except PositronError:
        return False
    return True


BEHAVIOURS: Mapping[str, Callable[[Hostile], None]] = {
    "flood": Hostile.flood,
    "replay": Hostile.replay,
    "bad_signature": Hostile.forge,
    "silent_dropper": Hostile.keep_silent,
}


def _message(envelope: Envelope) -> bytes:
    return encode(Act.MESSAGE, 1, envelope.body, envelope.signature)


def _gossip_fields(data: bytes) -> list[Value] | None:
    if not is_frame(data):
        return None
    try:
        frame = parse_frame(data)
    except DecodeError:
        return None
    return frame.fields if frame.kind is MessageType.GOSSIP_MESSAGE else None
