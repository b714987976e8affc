"""Bad links within a node: what is done to the packets that it sends, by destination, for as long as it was asked for.

The pure half of the backend `wire`; the shell hands over each packet with the time and sends what comes back when it is
due. Every demand ends by itself, so that a network heals although nobody is left to heal it. Packets are impaired where
they leave: both directions of a link are impaired by the two nodes at its ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from node.errors import UsageError
from node.impairment.combination import combined
from node.impairment.fates import Fates
from node.impairment.link import Arrival, Link, LinkSettings, LinkStats
from node.types import Address, Instant

__all__ = ["Demand", "Wire", "WireLink"]

LINKS_MAX = 4096
DEMANDS_MAX = 64
CLEAN = LinkSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Settings on top of those that links have. hosts: None for all. until: when it ends by itself; None for never."""

    step: str
    kind: str
    settings: LinkSettings
    hosts: frozenset[str] | None = None
    until: Instant | None = None


@dataclass(slots=True)
class WireLink:
    """The way to one host. sent: packets so far, which number their fates."""

    link: Link
    fates: Fates
    sent: int = 0


@dataclass(slots=True)
class Wire:
    """See the module. seed: of every fate. name: of this node, the source of its links."""

    seed: str
    name: str
    base: Mapping[str, LinkSettings] = field(default_factory=dict)
    default: LinkSettings = CLEAN
    names: Mapping[str, str] = field(default_factory=dict)
    _demands: dict[str, Demand] = field(default_factory=dict)
    _links: dict[str, WireLink] = field(default_factory=dict)
    _settings: dict[str, LinkSettings] = field(default_factory=dict)
    _until: Instant | None = None

    @property
    def is_clean(self) -> bool:
        """True when nothing is asked for, so that packets need not pass here."""
        return not self._demands and self.default == CLEAN and not self.base

    def set_base(self, base: Mapping[str, LinkSettings], default: LinkSettings, names: Mapping[str, str]) -> None:
        """What links are like without faults, by host. names: of the nodes at those hosts, which key the fates."""
        if len(base) > LINKS_MAX or len(names) > LINKS_MAX:
            raise UsageError(f"{max(len(base), len(names))} links: allowed are up to {LINKS_MAX}")
        self.base, self.default, self.names = dict(base), default, dict(names)
        self._changed()

    def demand(self, demand: Demand) -> None:
        """Adds a demand, or exchanges the one of the same step. UsageError when there are too many."""
        if demand.step not in self._demands and len(self._demands) >= DEMANDS_MAX:
            raise UsageError(f"{len(self._demands)} faults are active: allowed are up to {DEMANDS_MAX}")
        self._demands[demand.step] = demand
        self._changed()

    def heal(self, steps: Iterable[str] | None = None) -> list[str]:
        """Ends those demands, or all; the steps that were ended."""
        ended = [step for step in (list(self._demands) if steps is None else steps) if self._demands.pop(step, None)]
        if ended:
            self._changed()
        return ended

    def active(self, now: Instant) -> list[Demand]:
        """The demands that have not ended."""
        self._expire(now)
        return list(self._demands.values())

    def settings_for(self, host: str, now: Instant) -> LinkSettings:
        """What the link to that host is asked to do at this instant."""
        self._expire(now)
        settings = self._settings.get(host)
        if settings is None:
            settings = self.base.get(host, self.default)
            for demand in self._demands.values():
                if demand.hosts is None or host in demand.hosts:
                    settings = combined(settings, demand.settings)
            if len(self._settings) >= LINKS_MAX:
                self._settings.clear()
            self._settings[host] = settings
        return settings

    def send(self, target: Address, data: bytes, now: Instant, ecn: int = 0) -> list[Arrival]:
        """When which copies of that packet shall leave: none if it is lost. ecn: the two ECN bits of its IP header."""
        wired = self._link(target[0])
        wired.link.settings = self.settings_for(target[0], now)
        wired.fates.begin(wired.sent)
        wired.sent += 1
        return wired.link.send(data, now, ecn)

    def stats(self) -> dict[str, LinkStats]:
        """What each link has counted, by host."""
        return {host: wired.link.stats for host, wired in self._links.items()}

    def _link(self, host: str) -> WireLink:
        wired = self._links.get(host)
        if wired is None:
            if len(self._links) >= LINKS_MAX:
                # The longest known makes room; its count begins anew should it come back.
                del self._links[next(iter(self._links))]
            fates = Fates(f"{self.seed}/{self.name}>{self.names.get(host, host)}")
            wired = self._links[host] = WireLink(Link(CLEAN, fates), fates)
        return wired

    def _expire(self, now: Instant) -> None:
        if self._until is not None and now >= self._until:
            for step, demand in list(self._demands.items()):
                if demand.until is not None and now >= demand.until:
                    del self._demands[step]
            self._changed()

    def _changed(self) -> None:
        self._settings.clear()
        ends = (demand.until for demand in self._demands.values() if demand.until is not None)
        self._until = min(ends, default=None)
