"""What a controller may do to a node that was started for it: bad links, faults on them with a time limit, probes.

Off unless the setting `chaos_control` is on. Commands and answers are plain objects, fit for JSON. Every fault carries
its time limit and ends by itself, so that nothing has to be left to heal it. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from typing import Any

from node.config import parse_address
from node.errors import UsageError
from node.impairment.link import LinkSettings, expected_loss
from node.impairment.plain import from_plain, to_plain
from node.impairment.wire import LINKS_MAX, Demand
from node.metrics.impairment import ChaosReading, Impairment
from node.node.afflictions import Afflictions, Body
from node.node.probes import MEASUREMENTS_MAX, ProbeLog, probe
from node.node.wired import Wired
from node.types import Address, Instant, from_seconds, median_of, to_seconds

__all__ = ["Chaos"]

FAULT_SECONDS_MAX = 3600.0
STEP_CHARACTERS_MAX = 64
TARGETS_MAX = 256
PROBES_MAX = 10_000
INTERVAL_MAX = 1.0
MARKS_MAX = 64
LINKS_SHOWN_MAX = 256
"""Links in the metrics; a testnet that is larger shows the first ones."""

PROBES_AT_ONCE_MAX = 16
"""Measurements that one node sends at the same time."""


class Chaos:
    """The commands of one node. Every method raises UsageError for what cannot be."""

    def __init__(self, wired: Wired, body: Body, host: str) -> None:
        """host: where probes arrive."""
        self._wired = wired
        self._host = host
        self._probes = ProbeLog()
        self._sent: dict[str, dict[str, float]] = {}
        self._marks: dict[str, tuple[str, Instant]] = {}
        self.afflictions = Afflictions(body)
        self._sending: dict[str, asyncio.Task[None]] = {}

    def carry_out(self, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out one command by its name; its answer. An unknown name asks for the status."""
        match command:
            case "links":
                return self.set_links(body)
            case "faults":
                return self.add_fault(body)
            case "afflict":
                return self.afflict(body)
            case "mark":
                return self.mark(body)
            case "heal":
                step = body.get("step")
                return self.heal(None if step is None else str(step))
            case "listen":
                return {"port": self._probes.listen(self._host)}
            case "probes":
                return self.send_probes(body)
            case "arrived":
                return self.received_probes(str(body.get("measurement")))
            case _:
                return self.status()

    def status(self) -> dict[str, Any]:
        """What is asked of the links now, what runs, and what the links did."""
        now = self._wired.now()
        wire = self._wired.wire
        return {
            "default": to_plain(wire.default),
            "hosts": {host: to_plain(settings) for host, settings in wire.base.items()},
            "faults": [_shown(demand, now) for demand in wire.active(now)],
            "afflictions": [
                {"step": step, "kind": kind, "seconds_left": left} for step, kind, left in self.afflictions.active()
            ],
            "links": {
                host: {"offered": stats.offered, "lost": stats.lost, "delivered": stats.delivered}
                for host, stats in wire.stats().items()
            },
            "dropped": self._wired.dropped,
        }

    def set_links(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Gives links their settings. default: of all; hosts: of some; names: of nodes by host, which key the fates.

        seed, name: of the fates from now on, which begin anew.
        """
        wire = self._wired.wire
        hosts = _mapping(body, "hosts")
        base = {_text(host, "hosts", 64): from_plain(settings) for host, settings in hosts.items()}
        default = from_plain(body.get("default", {}))
        names = {_text(host, "names", 64): _text(name, "names", 64) for host, name in _mapping(body, "names").items()}
        if "seed" in body or "name" in body:
            wire.seed = _text(body.get("seed", wire.seed), "seed", 64)
            wire.name = _text(body.get("name", wire.name), "name", 64)
        wire.set_base(base, default, names)
        return self.status()

    def add_fault(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Begins a fault on links, or renews it. step, kind: its names. hosts: whither, all without. seconds: limit."""
        seconds = _limit(body)
        hosts = body.get("hosts")
        if hosts is not None and (not isinstance(hosts, list) or len(hosts) > LINKS_MAX):
            raise UsageError(f"hosts: allowed is a list of up to {LINKS_MAX} addresses, or nothing for all")
        demand = Demand(
            step=_text(body.get("step"), "step", STEP_CHARACTERS_MAX),
            kind=_text(body.get("kind"), "kind", STEP_CHARACTERS_MAX),
            settings=from_plain(body.get("settings", {})),
            hosts=None if hosts is None else frozenset(_text(host, "hosts", 64) for host in hosts),
            until=self._wired.now() + from_seconds(seconds),
        )
        self._wired.wire.demand(demand)
        return _shown(demand, self._wired.now())

    def afflict(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Begins a fault inside the node. step, kind: its names. seconds: limit. More belongs to the kind."""
        kind = _text(body.get("kind"), "kind", STEP_CHARACTERS_MAX)
        self.afflictions.begin(kind, _text(body.get("step"), "step", STEP_CHARACTERS_MAX), _limit(body), body)
        return {"kind": kind}

    def heal(self, step: str | None = None) -> dict[str, Any]:
        """Ends that fault, or all of them."""
        self._marks = {} if step is None else {name: one for name, one in self._marks.items() if name != step}
        healed = self._wired.wire.heal(None if step is None else [step])
        return {"healed": healed + self.afflictions.heal(step)}

    def mark(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Has the metrics tell of a fault elsewhere, such as of a process. step, kind: its names. seconds: limit."""
        step = _text(body.get("step"), "step", STEP_CHARACTERS_MAX)
        if len(self._marks) >= MARKS_MAX:
            raise UsageError(f"{MARKS_MAX} marks are set: allowed are no more")
        kind = _text(body.get("kind"), "kind", STEP_CHARACTERS_MAX)
        self._marks[step] = kind, self._wired.now() + from_seconds(_limit(body))
        return {"step": step}

    def active(self) -> list[tuple[str, str]]:
        """Step and kind of every fault that runs, for the metrics."""
        now = self._wired.now()
        self._marks = {step: mark for step, mark in self._marks.items() if mark[1] > now}
        faults = [(demand.step, demand.kind) for demand in self._wired.wire.active(now)]
        faults += [(step, kind) for step, kind, _ in self.afflictions.active()]
        return faults + [(step, kind) for step, (kind, _) in self._marks.items()]

    def reading(self) -> ChaosReading:
        """What runs, and what links are asked to do, for the metrics."""
        wire, now = self._wired.wire, self._wired.now()
        stats = wire.stats()
        hosts = list(dict.fromkeys((*wire.base, *stats)))[:LINKS_SHOWN_MAX]
        return ChaosReading(
            active=tuple(self.active()),
            links=tuple(_impairment(wire.names.get(host, host), wire.settings_for(host, now)) for host in hosts),
            offered=sum(one.offered for one in stats.values()),
            dropped=sum(one.lost + one.overflowed + one.too_large for one in stats.values()),
        )

    # --- probes ---------------------------------------------------------------------------------------------------

    def send_probes(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Begins to send `count` probes to each of `targets`, `interval` seconds apart; the measurement's name."""
        targets = body.get("targets")
        if not isinstance(targets, list) or not 1 <= len(targets) <= TARGETS_MAX:
            raise UsageError(f"targets: allowed is a list of 1 to {TARGETS_MAX} addresses")
        count, interval = body.get("count", 300), body.get("interval", 0.002)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= PROBES_MAX:
            raise UsageError(f"count {count!r}: allowed is a whole number from 1 to {PROBES_MAX}")
        if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 < interval <= INTERVAL_MAX:
            raise UsageError(f"interval {interval!r}: allowed is a number of seconds up to {INTERVAL_MAX:g}")
        if len(self._sending) >= PROBES_AT_ONCE_MAX:
            raise UsageError(f"{PROBES_AT_ONCE_MAX} measurements are under way")
        addresses = [parse_address(_text(target, "targets", 300)) for target in targets]
        measurement = os.urandom(8)
        name = measurement.hex()
        sending = self._send(measurement, addresses, count, interval)
        task = asyncio.get_running_loop().create_task(sending)
        self._sending[name] = task
        task.add_done_callback(lambda _: self._sending.pop(name, None))
        return {"measurement": name, "seconds": count * interval}

    def received_probes(self, measurement: str) -> dict[str, Any]:
        """What has arrived here of that measurement, by the host that sent it: delays in seconds, in no order.

        sent: None until this node has sent all of it; then `late`, the seconds by which it sent late what its links
        were to hold back, the median, and `behind`, those by which all of it took longer than was asked.
        """
        try:
            wanted = bytes.fromhex(measurement)
        except ValueError as error:
            raise UsageError(f"measurement {measurement!r}: allowed is 16 hexadecimal digits") from error
        return {"delays": self._probes.received(wanted), "sent": self._sent.get(measurement)}

    async def close(self) -> None:
        """Ends every measurement."""
        self._probes.close()
        self.afflictions.heal()
        for task in list(self._sending.values()):
            task.cancel()
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    async def _send(self, measurement: bytes, targets: list[Address], count: int, interval: float) -> None:
        began = time.monotonic()
        self._wired.late.clear()
        for number in range(count):
            # By the clock, not by naps that add up.
            await asyncio.sleep(max(0.0, began + number * interval - time.monotonic()))
            for target in targets:
                self._wired.send_probe(target, probe(measurement, number, time.time_ns()))
        if len(self._sent) >= MEASUREMENTS_MAX:
            del self._sent[next(iter(self._sent))]
        behind = max(0.0, time.monotonic() - began - (count - 1) * interval)
        self._sent[measurement.hex()] = {"late": median_of(self._wired.late or (0.0,)), "behind": behind}


def _shown(demand: Demand, now: int) -> dict[str, Any]:
    left = None if demand.until is None else max(0.0, to_seconds(demand.until - now))
    hosts = None if demand.hosts is None else sorted(demand.hosts)
    return {
        "step": demand.step,
        "kind": demand.kind,
        "settings": to_plain(demand.settings),
        "hosts": hosts,
        "seconds_left": left,
    }


def _impairment(target: str, settings: LinkSettings) -> Impairment:
    return Impairment(
        backend="wire",
        target=target,
        loss_ratio=expected_loss(settings),
        delay_seconds=to_seconds(settings.delay),
        jitter_seconds=to_seconds(settings.jitter),
        rate_bytes_per_second=settings.rate,
    )


def _limit(body: Mapping[str, Any]) -> float:
    """Seconds after which a fault ends by itself; every one has to say it."""
    seconds = body.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= FAULT_SECONDS_MAX:
        raise UsageError(f"seconds {seconds!r}: allowed is a number above 0, up to {FAULT_SECONDS_MAX:g}")
    return float(seconds)


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, Mapping):
        raise UsageError(f"{name} {value!r}: allowed is an object")
    return value


def _text(value: object, name: str, longest: int) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise UsageError(f"{name} {value!r}: allowed is text of 1 to {longest} characters")
    return value
