"""The mouth of a running machine, for whoever makes it misbehave: what an attacker with a key of its own can do.

What the node says to its peers can be withheld, what it hears is kept, and anything can be said past its services.
Handshakes, heartbeats and acknowledgements stay as they are, so that the others take the node for a peer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from node.core.machine import Machine
from node.errors import DecodeError, PositronError, UsageError
from node.gossip.frames import Act
from node.messages.envelope import parse_envelope
from node.messages.frame import is_frame, parse_frame
from node.messages.types import Carrier, MessageType
from node.peers.table import Peer
from node.transport.endpoint import Endpoint
from node.transport.events import Delivery, Event, MessageAcknowledged, MessageReceived
from node.transport.packet import Message
from node.transport.stream import StreamEndpoint
from node.types import SECOND, Duration, Instant

__all__ = ["HEARD_MAX", "Mouth", "Signed"]

HEARD_MAX = 500
"""Messages that came by and are kept for later misuse."""

DEADLINE: Duration = 5 * SECOND
"""After which a frame that was said is given up."""

Signed = tuple[bytes, bytes]
"""The body of a message and its signature."""


class Mouth:
    """withholds: of the gossip messages that are about to leave. heard: those that came, the latest ones.

    said: frames that a transport took. withheld: messages that the node believes acknowledged.
    UsageError for a machine that is compiled: nobody gets between its parts.
    """

    def __init__(self, machine: Machine, withholds: Callable[[Signed], bool] = lambda _: False) -> None:
        self.withholds = withholds
        self.heard: deque[Signed] = deque(maxlen=HEARD_MAX)
        self.said = 0
        self.withheld = 0
        self._machine = machine
        self._sends: dict[Carrier, Callable[[int, Message, Instant], int]] = {}
        for carrier, endpoint in self._endpoints():
            self._sends[carrier] = endpoint.send
            self._tap(endpoint)

    def close(self) -> None:
        """The machine is as it was."""
        for _, endpoint in self._endpoints():
            for name in ("send", "poll_event"):
                delattr(endpoint, name)

    def peers(self) -> list[Peer]:
        """Whom it can speak to."""
        return self._machine.peers.table.active()

    def say(self, peer: Peer, frame: bytes, now: Instant) -> None:
        """Says anything to that peer, past every service of the node."""
        link = peer.link(Carrier.UDP) or peer.link(Carrier.TCP)
        if link is None:
            return
        try:
            self._sends[link.carrier](link.connection, Message(frame, Delivery.RELIABLE, now + DEADLINE), now)
        except PositronError:
            return
        self.said += 1

    def is_of_others(self, message: Signed) -> bool:
        """Whether the node passes that message on for somebody else."""
        return parse_envelope(*message).origin != self._machine.identity.public_key

    def _endpoints(self) -> list[tuple[Carrier, Endpoint | StreamEndpoint]]:
        pairs = ((Carrier.UDP, self._machine.udp), (Carrier.TCP, self._machine.tcp))
        return [(carrier, endpoint) for carrier, endpoint in pairs if endpoint is not None]

    def _tap(self, endpoint: Endpoint | StreamEndpoint) -> None:
        send, poll_event = endpoint.send, endpoint.poll_event
        pretended: deque[Event] = deque()

        def tapped_send(connection: int, message: Message, now: Instant) -> int:
            signed = _gossip_message(message.data)
            if signed is None or not self.withholds(signed):
                return send(connection, message, now)
            # The node believes that it was acknowledged; no other message has such a number.
            self.withheld += 1
            pretended.append(MessageAcknowledged(connection=connection, message_id=-self.withheld))
            return -self.withheld

        def tapped_poll_event() -> Event | None:
            if pretended:
                return pretended.popleft()
            event = poll_event()
            if isinstance(event, MessageReceived):
                signed = _gossip_message(event.data)
                if signed is not None:
                    self.heard.append(signed)
            return event

        # The instance's own attributes come before the methods of its class, until `close` takes them away.
        try:
            setattr(endpoint, "send", tapped_send)  # noqa: B010
            setattr(endpoint, "poll_event", tapped_poll_event)  # noqa: B010
        except AttributeError as error:
            raise UsageError("a compiled node cannot be made hostile: allowed is one that runs from source") from error


def _gossip_message(data: bytes) -> Signed | None:
    """The message in the frame, if one is in it."""
    if not is_frame(data):
        return None
    try:
        frame = parse_frame(data)
    except DecodeError:
        return None
    if frame.kind is not MessageType.GOSSIP_MESSAGE:
        return None
    match frame.fields:
        case [int(act), int(), bytes(body), bytes(signature), *_] if act == Act.MESSAGE:
            return body, signature
        case _:
            return None
