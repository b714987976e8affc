"""Renders readings in the Prometheus text format, version 0.0.4, fast enough to be done in the event loop.

Whatever runs in the event loop makes every round trip that is being measured look longer, so a scrape must not take
milliseconds; the client library's renderer does. Knows the catalogue and nothing of the node; input is an observation,
output the bytes of one exposition. `collector.py` says the same through the client library, and tests hold them equal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from node.metrics.names import CATALOGUE, Metric
from node.metrics.readings import Observation, Reading, readings

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(seen: Observation) -> bytes:
    """The whole exposition of one node; every series carries the node's name as label `node`."""
    node = f'node="{_escape(seen.snapshot.name)}"'
    blocks: dict[str, list[str]] = {}
    for reading in readings(seen):
        lines = blocks.get(reading.name)
        if lines is None:
            lines = blocks[reading.name] = [_FORMS[reading.name].header]
        form = _FORMS[reading.name]
        labels = node
        for prefix, is_open, value in zip(form.prefixes, form.are_open, reading.labels, strict=True):
            labels += f'{prefix}{_escape(value) if is_open else value}"'
        if reading.counts is None:
            lines.append(f"{reading.name}{{{labels}}} {_number(reading.value)}\n")
        else:
            _add_buckets(lines, form, labels, reading)
    return "".join(line for lines in blocks.values() for line in lines).encode()


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


def _add_buckets(lines: list[str], form: _Form, labels: str, reading: Reading) -> None:
    assert reading.counts is not None
    running = 0
    for limit, count in zip(form.limits, reading.counts, strict=True):
        running += count
        lines.append(f'{reading.name}_bucket{{{labels},le="{limit}"}} {running}\n')
    lines.append(f"{reading.name}_count{{{labels}}} {running}\n")
    lines.append(f"{reading.name}_sum{{{labels}}} {_number(reading.value)}\n")


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else repr(value)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_FORMS = {name: _form(metric) for name, metric in CATALOGUE.items()}
