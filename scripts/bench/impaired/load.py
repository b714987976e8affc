"""What is sent in one measurement, and the meter at the receiving end that says what came of it.

Both ends run on one machine and one monotonic clock: a message carries the instant of its sending, and its one-way
delay needs no exchange.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from dataclasses import dataclass

MESSAGE_BYTES = 256
MESSAGES_PER_SECOND = 200
CHUNK_BYTES = 16_000
"""What a bulk sender hands over at once, wherever a peer works in messages."""

WARM_UP = 1.0
"""Seconds from the first byte on that are not counted: every sender has to find its rate first."""

PATIENCE = 6.0
"""Seconds for what is late: the handshake, or messages after the last one should have come."""

_STAMP = struct.Struct(">Qd")


@dataclass(frozen=True)
class Load:
    """kind: `bulk` or `latency`. seconds: measured."""

    kind: str
    seconds: float

    @property
    def messages(self) -> int:
        return round(self.seconds * MESSAGES_PER_SECOND)

    def is_over_after(self) -> float:
        """Seconds from its start on after which no receiver waits any longer."""
        return self.seconds + WARM_UP + 2 * PATIENCE


def message(number: int) -> bytes:
    """A message of the latency load, stamped with the present."""
    return _STAMP.pack(number, time.monotonic()).ljust(MESSAGE_BYTES, b".")


class Meter:
    """Counts what arrives; `is_over` says when there is nothing left to wait for."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.started_at = time.monotonic()
        self.first_at: float | None = None
        self.last_at = 0.0
        self.bytes = 0
        self.delays: dict[int, float] = {}
        self._rests: dict[int, bytes] = {}

    def on_bytes(self, data: bytes | bytearray | memoryview, stream: int = 0) -> None:
        """A whole message, or a piece of that byte stream."""
        now = time.monotonic()
        if self.first_at is None:
            self.first_at = now
        if self.load.kind == "latency":
            self._split(bytes(data), stream, now)
        elif self.first_at + WARM_UP <= now < self.first_at + WARM_UP + self.load.seconds:
            self.bytes += len(data)

    def is_over(self) -> bool:
        now = time.monotonic()
        if now > self.started_at + self.load.is_over_after():
            return True
        if self.load.kind == "latency":
            return len(self.delays) == self.load.messages
        return self.first_at is not None and now >= self.first_at + WARM_UP + self.load.seconds

    async def until_over(self) -> None:
        while not self.is_over():  # noqa: ASYNC110 - whether it is over depends on the clock
            await asyncio.sleep(0.05)

    def report(self) -> None:
        """Prints the result as one line of JSON."""
        if self.load.kind == "bulk":
            json.dump({"goodput": self.bytes * 8 / self.load.seconds}, sys.stdout)
        else:
            delays = sorted(self.delays.values())
            found = {"delivered": len(delays), "sent": self.load.messages}
            for name, share in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0)):
                found[name] = delays[min(len(delays) - 1, int(share * len(delays)))] if delays else None
            json.dump(found, sys.stdout)
        sys.stdout.flush()

    def _split(self, data: bytes, stream: int, now: float) -> None:
        data = self._rests.pop(stream, b"") + data
        end = len(data) - len(data) % MESSAGE_BYTES
        for start in range(0, end, MESSAGE_BYTES):
            number, sent_at = _STAMP.unpack_from(data, start)
            self.delays.setdefault(number, now - sent_at)
        if end < len(data):
            self._rests[stream] = data[end:]
