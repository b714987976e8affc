"""Renders readings in the Prometheus text format, version 0.0.4, fast enough to be done in the event loop.

Whatever runs in the event loop makes every round trip that is being measured look longer, so a scrape must not take
milliseconds; the client library's renderer does. Knows the catalogue and nothing of the node; input is an observation,
output the bytes of one exposition. `collector.py` says the same through the client library, and tests hold them equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from node.metrics.links import LINK_METRICS, LinkRows
from node.metrics.names import CATALOGUE, Metric
from node.metrics.readings import Observation, Reading, first_readings, last_readings, rows_of, unlisted_reading

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SERIES_KEPT_MAX = 1024
"""Series whose written labels are remembered: all of a node but those of its links."""

LAYOUTS_KEPT_MAX = 4
"""Sets of links whose written labels are remembered: both transports of a node, now and before a link came or went."""


def render(seen: Observation) -> bytes:
    """The whole exposition of one node; every series carries the node's name as label `node`."""
    node = seen.snapshot.name
    blocks: dict[str, list[str]] = {}
    _add(blocks, first_readings(seen), node)
    for links in rows_of(seen):
        _add_links(blocks, links, node)
        _add(blocks, (unlisted_reading(links),), node)
    _add(blocks, last_readings(seen), node)
    return "".join(chain.from_iterable(blocks.values())).encode()


def _add(blocks: dict[str, list[str]], readings: Iterable[Reading], node: str) -> None:
    for name, value, labels, counts in readings:
        lines = blocks.get(name)
        if lines is None:
            lines = blocks[name] = [_FORMS[name].header]
        if counts is None:
            lines.append(f"{_series(name, labels, node)}{value!r}\n")
        else:
            _add_buckets(lines, name, _labels(name, labels, node), value, counts)


def _add_links(blocks: dict[str, list[str]], links: LinkRows, node: str) -> None:
    """One line for each value of each row; the lines of one metric come together, so each has a column of its own."""
    columns = zip(*links.rows.values(), strict=True)
    layout = _layout(LINK_METRICS[links.transport], tuple(links.rows), node)
    for column, (name, lines, template) in zip(columns, layout, strict=bool(links.rows)):
        if None not in column:
            blocks[name] = [template % column]
        elif written := [f"{line}{value!r}\n" for line, value in zip(lines, column, strict=True) if value is not None]:
            blocks[name] = [_FORMS[name].header, *written]


class _Column(NamedTuple):
    """All links' lines of one metric up to their values; template: the same with its header, to be filled at once."""

    name: str
    lines: list[str]
    template: str


@lru_cache(maxsize=LAYOUTS_KEPT_MAX)
def _layout(names: tuple[str, ...], peers: tuple[str, ...], node: str) -> list[_Column]:
    """What is the same from one scrape to the next while the links are the same: all but their values."""
    tails = [f"{{{_labels(names[0], (peer,), node)}}} " for peer in peers]
    columns = []
    for name in names:
        lines = [name + tail for tail in tails]
        header, *starts = (text.replace("%", "%%") for text in (_FORMS[name].header, *lines))
        columns.append(_Column(name, lines, header + "".join(f"{start}%r\n" for start in starts)))
    return columns


@lru_cache(maxsize=SERIES_KEPT_MAX)
def _series(name: str, values: tuple[str, ...], node: str) -> str:
    """A line up to its value: the same from one scrape to the next."""
    return f"{name}{{{_labels(name, values, node)}}} "


def _labels(name: str, values: tuple[str, ...], node: str) -> str:
    form = _FORMS[name]
    text = f'node="{_escape(node)}"'
    for prefix, is_open, value in zip(form.prefixes, form.are_open, values, strict=True):
        text += f'{prefix}{_escape(value) if is_open else value}"'
    return text


@dataclass(frozen=True, slots=True)
class _Form:
    """What is the same in every line of a metric. prefixes: `,name="` per label. limits: `le` of each bucket."""

    header: str
    prefixes: tuple[str, ...]
    are_open: tuple[bool, ...]
    limits: tuple[str, ...]


def _form(metric: Metric) -> _Form:
    help_text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return _Form(
        header=f"# HELP {metric.name} {help_text}\n# TYPE {metric.name} {metric.kind}\n",
        prefixes=tuple(f',{label.name}="' for label in metric.labels),
        are_open=tuple(not label.values for label in metric.labels),
        limits=tuple(_number(float(bound)) for bound in (*metric.bounds, math.inf)) if metric.bounds else (),
    )


def _add_buckets(lines: list[str], name: str, labels: str, total: float, counts: tuple[int, ...]) -> None:
    running = 0
    for limit, count in zip(_FORMS[name].limits, counts, strict=True):
        running += count
        lines.append(f'{name}_bucket{{{labels},le="{limit}"}} {running}\n')
    lines.append(f"{name}_count{{{labels}}} {running}\n")
    lines.append(f"{name}_sum{{{labels}}} {total!r}\n")


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else repr(value)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_FORMS = {name: _form(metric) for name, metric in CATALOGUE.items()}
