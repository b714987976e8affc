"""Every sample of a run, kept by series: what a Prometheus server would have, for machines without one.

Times are seconds on the clock of the run. Bounded: beyond SAMPLES_MAX the oldest half of each series goes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from node.testnet.metrics.exposition import Family, Labels, parse_exposition

__all__ = ["Recording", "Series"]

SAMPLES_MAX = 4_000_000
"""Some 100 MB of numbers."""

STALE_AFTER = 3.5
"""Seconds after which a series that got no sample is gone; scrapes come each second."""


@dataclass(slots=True)
class Series:
    """One series. times: in order. values: one for each. gone_at: from when on it is known to be gone."""

    name: str
    labels: Labels
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    gone_at: float = math.inf

    def at(self, time: float) -> float | None:
        """The value then; None before the first sample, once it is stale, and once it is known to be gone."""
        index = bisect_right(self.times, time) - 1
        if index < 0 or time - self.times[index] > STALE_AFTER or time >= self.gone_at:
            return None
        return self.values[index]

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        """Samples after `start`, up to and including `end`."""
        first, last = bisect_right(self.times, start), bisect_right(self.times, end)
        return list(zip(self.times[first:last], self.values[first:last], strict=True))


@dataclass(slots=True)
class Recording:
    """All series of one run."""

    families: dict[str, Family] = field(default_factory=dict)
    damaged: int = 0
    _series: dict[tuple[str, Labels], Series] = field(default_factory=dict)
    _by_name: dict[str, list[Series]] = field(default_factory=dict)
    _samples: int = 0

    def scrape(self, time: float, texts: dict[str, str | None]) -> None:
        """Takes the expositions of all nodes at one instant; None for one that did not answer."""
        for node, text in texts.items():
            own: Labels = (("instance", node), ("job", "positron"))
            self.add(time, "up", own, 0.0 if text is None else 1.0)
            if text is None:
                continue
            scrape = parse_exposition(text)
            self.damaged += scrape.damaged
            self.families.update(scrape.families)
            for name, labels, value in scrape.samples:
                self.add(time, name, tuple(sorted((*labels, *own))), value)

    def add(self, time: float, name: str, labels: Labels, value: float) -> None:
        """Takes one sample; those of one series come in order of time."""
        series = self._series.get((name, labels))
        if series is None:
            series = self._series[name, labels] = Series(name, labels)
            self._by_name.setdefault(name, []).append(series)
        series.times.append(time)
        series.values.append(value)
        self._samples += 1
        if self._samples > SAMPLES_MAX:
            self._forget()

    def find(self, name: str, labels: Labels) -> Series | None:
        """The series of that name and exactly those labels."""
        return self._series.get((name, labels))

    def named(self, name: str) -> list[Series]:
        """Every series of that name."""
        return self._by_name.get(name, [])

    def __iter__(self) -> Iterator[Series]:
        return iter(self._series.values())

    def forget(self, before: float) -> None:
        """Lets go of what is older than that time, and of series that are older as a whole."""
        for key, series in list(self._series.items()):
            first = bisect_left(series.times, before)
            del series.times[:first], series.values[:first]
            self._samples -= first
            if not series.times:
                del self._series[key]
                self._by_name[series.name].remove(series)

    def _forget(self) -> None:
        self._samples = 0
        for series in self._series.values():
            half = len(series.times) // 2
            del series.times[:half], series.values[:half]
            self._samples += len(series.times)
