"""A node that misbehaves on purpose, for a time: what an attacker with a key of its own can do on its links.

Frames are withheld, said again, forged or invented at the mouth of its machine. For testnets; only `Chaos` begins it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from typing import Protocol

from node.core.machine import Machine
from node.core.mouth import Mouth
from node.gossip.frames import Act, Urgency, encode, encode_ids
from node.messages.envelope import Envelope, Sealer
from node.messages.packing import Value, pack
from node.messages.types import MessageType
from node.types import Duration, Instant
from node.wire.limits import ANNOUNCED_IDS_MAX

__all__ = ["BEHAVIOURS", "Hostile"]

ACT_INTERVAL = 0.1
RATE_MAX = 10_000.0


class Body(Protocol):
    """The node that is made to misbehave."""

    machine: Machine
    wall_offset: Duration

    def now(self) -> Instant: ...
    def pump(self) -> None: ...


class Hostile:
    """One behaviour of one node, from its making until `end`. rate: misdeeds per second, to each peer."""

    def __init__(self, body: Body, behaviour: str, rate: float) -> None:
        self._body = body
        self._per_act = max(1, round(min(rate, RATE_MAX) * ACT_INTERVAL))
        self._behaviour = behaviour
        self._random = random.SystemRandom()
        machine = body.machine
        epoch = (body.now() + body.wall_offset) // 1_000_000 + 1
        self._sealer = Sealer(machine.identity, network_id=machine.settings.network_id, epoch=epoch)
        self._mouth = Mouth(machine)
        if behaviour == "silent_dropper":
            self._mouth.withholds = self._mouth.is_of_others
        self._timer = asyncio.get_running_loop().call_later(ACT_INTERVAL, self._act)

    def end(self) -> None:
        """The node behaves again."""
        self._timer.cancel()
        self._mouth.close()

    # --- what it says -----------------------------------------------------------------------------------------------

    def _act(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(ACT_INTERVAL, self._act)
        for _ in range(self._per_act):
            BEHAVIOURS[self._behaviour](self)
        self._body.pump()

    def say(self, frame: bytes) -> None:
        """Says anything to every peer, past every service of the node."""
        for peer in self._mouth.peers():
            self._mouth.say(peer, frame, self._body.now())

    def flood(self) -> None:
        """Valid messages of its own, ids of nothing, requests, and noise."""
        self.say(_message(self._sealed({"flood": os.urandom(200)})))
        ids = [os.urandom(16) for _ in range(ANNOUNCED_IDS_MAX)]
        self.say(encode_ids(Act.HAVE, ids, int(Urgency.NOW)))
        self.say(encode_ids(Act.REQUEST, ids))
        self.say(os.urandom(self._random.randrange(1, 200)))

    def replay(self) -> None:
        """What others said, again, with another hop count."""
        if self._mouth.heard:
            body, signature = self._random.choice(self._mouth.heard)
            self.say(encode(Act.MESSAGE, self._random.randrange(1, 8), body, signature))

    def forge(self) -> None:
        """What others said, altered."""
        sealed = self._sealed({"forged": os.urandom(16)})
        heard = self._mouth.heard
        body, signature = self._random.choice(heard) if heard else (sealed.body, sealed.signature)
        changed = bytearray(signature)
        changed[self._random.randrange(len(changed))] ^= 1
        self.say(encode(Act.MESSAGE, 1, body, bytes(changed)))

    def keep_silent(self) -> None:
        """Nothing: what it does not pass on is its misdeed."""

    def _sealed(self, payload: Mapping[str, Value]) -> Envelope:
        wall = self._body.now() + self._body.wall_offset
        return self._sealer.seal(MessageType.GOSSIP_MESSAGE, pack(dict(payload)), wall)


BEHAVIOURS: Mapping[str, Callable[[Hostile], None]] = {
    "flood": Hostile.flood,
    "replay": Hostile.replay,
    "bad_signature": Hostile.forge,
    "silent_dropper": Hostile.keep_silent,
}


def _message(envelope: Envelope) -> bytes:
    return encode(Act.MESSAGE, 1, envelope.body, envelope.signature)
