"""Reads what nodes expose for Prometheus, and writes it down with its times as OpenMetrics.

Takes the text format as the nodes write it, one line per sample; a line that is none is counted and left out, so that a
node of another version, or a scrape that was cut, costs only what it damaged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Family", "Labels", "Scrape", "parse_exposition", "parse_sample", "render_openmetrics"]

Labels = tuple[tuple[str, str], ...]
"""Pairs of name and value, in order of the names."""

SERIES_REMEMBERED = 1 << 16

_SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?")
_TIME = re.compile(r"-?\d+")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True)
class Family:
    """What the comment lines say of one metric."""

    kind: str
    help: str


@dataclass(frozen=True, slots=True)
class Scrape:
    """One exposition. damaged: lines that could not be read."""

    samples: tuple[tuple[str, Labels, float], ...]
    families: dict[str, Family]
    damaged: int


def parse_exposition(text: str) -> Scrape:
    """The samples in that text; never fails."""
    samples, damaged = [], 0
    helps: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, said = line[7:].partition(" ")
            helps[name] = said
        elif line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            kinds[name] = kind
        elif line and not line.startswith("#"):
            sample = parse_sample(line)
            if sample is None:
                damaged += 1
            else:
                samples.append(sample)
    families = {name: Family(kind, helps.get(name, "")) for name, kind in kinds.items()}
    return Scrape(tuple(samples), families, damaged)


def render_openmetrics(
    families: dict[str, Family], series: Iterable[tuple[str, Labels, Iterable[tuple[float, float]]]]
) -> Iterator[str]:
    """Lines of an OpenMetrics file with a Unix time at every sample; series of one metric stand together.

    series: name, labels, and pairs of Unix time and value. `promtool tsdb create-blocks-from openmetrics` takes it.
    """
    grouped: dict[str, list[tuple[str, Labels, Iterable[tuple[float, float]]]]] = {}
    for name, labels, values in series:
        grouped.setdefault(_family_of(name, families), []).append((name, labels, values))
    for family, members in sorted(grouped.items()):
        known = families.get(family, Family("unknown", ""))
        # OpenMetrics names the family of a counter without its ending.
        title = family.removesuffix("_total") if known.kind == "counter" else family
        kind = "unknown" if known.kind == "untyped" else known.kind
        yield f"# TYPE {title} {kind}\n"
        if known.help:
            yield f"# HELP {title} {known.help}\n"
        for name, labels, values in members:
            written = ",".join(f'{key}="{_escape(value)}"' for key, value in labels)
            for at, value in values:
                yield f"{name}{{{written}}} {value!r} {at:.3f}\n"
    yield "# EOF\n"


def parse_sample(line: str) -> tuple[str, Labels, float] | None:
    """Name, labels and value of one sample; None if the line is none."""
    text, _, number = line.rpartition(" ")
    series = _series(text)
    if series is None and _TIME.fullmatch(number):
        text, _, number = text.rpartition(" ")
        series = _series(text)
    try:
        return None if series is None else (*series, float(number))
    except ValueError:
        return None


# The same series come with every scrape, and to read them takes longer than all else.
@lru_cache(maxsize=SERIES_REMEMBERED)
def _series(text: str) -> tuple[str, Labels] | None:
    """Name and labels in what stands before the value; None if it is no series."""
    match = _SERIES.fullmatch(text)
    if match is None:
        return None
    labels = []
    inside = match[2] or ""
    end = 0
    for label in _LABEL.finditer(inside):
        if label.start() != end:
            return None
        labels.append((label[1], re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), label[2])))
        end = label.end()
    return (match[1], tuple(sorted(labels))) if end == len(inside) else None


def _family_of(name: str, families: dict[str, Family]) -> str:
    if name in families:
        return name
    for ending in ("_bucket", "_sum", "_count"):
        if name.removesuffix(ending) in families:
            return name.removesuffix(ending)
    return name


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
