"""A link between two network namespaces in user space: rate, drop-tail queue, delay, random loss after the bottleneck.

Usage: emulator.py LEFT_DESCRIPTOR RIGHT_DESCRIPTOR LINK_AS_JSON
The descriptors are TUN devices, one in each namespace. For kernels without netem, and for speed: a packet costs about
10 µs. netem drops before its rate limit does; here loss comes after the bottleneck, as on a radio link behind a router.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections import deque
from random import Random

PACKET_BYTES_MAX = 65_536
READS_PER_TURN_MAX = 64


class Direction:
    """One direction: packets read from one device are written to the other when they are due."""

    def __init__(self, source: int, target: int, link: dict[str, float], seed: str) -> None:
        self.source, self.target = source, target
        self.seconds_per_byte = 8 / link["rate"]
        self.delay = link["rtt"] / 2
        self.loss = link["loss"]
        self.queue_seconds = link["queue"]
        self.random = Random(seed)
        self.busy_until = 0.0
        self.under_way: deque[tuple[float, bytes]] = deque()

    def read(self, now: float) -> None:
        for _ in range(READS_PER_TURN_MAX):
            try:
                packet = os.read(self.source, PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            if self.busy_until - now > self.queue_seconds:
                continue
            self.busy_until = max(now, self.busy_until) + len(packet) * self.seconds_per_byte
            if self.random.random() >= self.loss:
                self.under_way.append((self.busy_until + self.delay, packet))

    def write(self, now: float) -> None:
        under_way = self.under_way
        while under_way and under_way[0][0] <= now:
            try:
                os.write(self.target, under_way.popleft()[1])
            except OSError:
                # The far device is full or down: a loss, as on a wire.
                continue


def main() -> None:
    left, right = int(sys.argv[1]), int(sys.argv[2])
    link = json.loads(sys.argv[3])
    directions = (Direction(left, right, link, "there"), Direction(right, left, link, "back"))
    by_source = {direction.source: direction for direction in directions}
    while True:
        due = [direction.under_way[0][0] for direction in directions if direction.under_way]
        patience = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select(by_source, [], [], patience)
        now = time.monotonic()
        for source in ready:
            by_source[source].read(now)
        for direction in directions:
            direction.write(now)


if __name__ == "__main__":
    main()
