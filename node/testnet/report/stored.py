"""Reads the folder of a run back: everything that a report shows.

What is missing or cannot be read is said in one line that names the file.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeVar

from node.testnet.errors import TestnetMisused
from node.testnet.metrics.exposition import Labels, parse_sample
from node.testnet.metrics.recording import Recording
from node.testnet.run.folder import FORMAT, KEPT_EVERY
from node.testnet.scenario.scenario import RUNNERS

__all__ = ["StoredRun", "head", "load"]

_OUTCOME = ("scenario", "runner", "digest", "origin")
_FACTS = ("nodes", "invariants")
_STEP = ("step", "kind", "targets", "planned_start", "planned_end", "started", "ended")
_EVENT = ("node", "at", "event")
_LINK = ("fault", "from", "to", "loss_asked", "loss", "delay_asked", "delay", "applied", "wrong")
"""What a record of each file has at least; anything else is of no run."""

T = TypeVar("T")

STEP = 1.0
"""Seconds between two scrapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """One run. Times of the recording are seconds since its timeline began, at the Unix time `began`."""

    path: Path
    began: float
    outcome: dict[str, Any]
    environment: dict[str, Any]
    facts: dict[str, Any]
    steps: Sequence[dict[str, Any]]
    links: Sequence[dict[str, str]]
    events: Sequence[dict[str, Any]]
    scenario: str
    recording: Recording = field(repr=False)


def load(path: Path) -> StoredRun:
    """The run in that folder; TestnetMisused if it is none, with the name of the file that cannot be read."""
    outcome, environment = head(path)
    began = _read(path / "env.json", lambda _: float(environment["began"]))
    began += _read(path / "outcome.json", lambda _: float(outcome["origin"]))
    return StoredRun(
        path=path,
        began=began,
        outcome=outcome,
        environment=environment,
        facts=_read(path / "facts.json", lambda file: _with(_FACTS, _record(file))),
        steps=_read(path / "timeline.jsonl", lambda file: _all_with(_STEP, _records(file))),
        links=_read(path / "links.csv", lambda file: _all_with(_LINK, csv.DictReader(file.read_text().splitlines()))),
        events=_read(path / "history.jsonl", lambda file: _all_with(_EVENT, _records(file))),
        scenario=_read(path / "scenario.resolved.yaml", Path.read_text),
        recording=_read(path / "metrics.openmetrics", lambda file: _recording(file, began)),
    )


def head(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the run in that folder ended in, and where it ran; TestnetMisused if there is none, or in another format."""
    if not (path / "outcome.json").is_file():
        raise TestnetMisused(f"{path} is not the folder of a run: it has no outcome.json")
    outcome = _read(path / "outcome.json", _record)
    environment = _read(path / "env.json", lambda file: _with(("format",), _record(file)))
    if environment.get("format") != FORMAT:
        version, found = environment.get("version"), environment.get("format")
        raise TestnetMisused(
            f"{path} was written by version {version} in format {found}, and this version reads format {FORMAT}: "
            "take the version that wrote it"
        )
    missing = [key for key in _OUTCOME if key not in outcome]
    if missing:
        raise TestnetMisused(f"{path / 'outcome.json'} has no {missing[0]}: it is not that of a run")
    if outcome["runner"] not in RUNNERS:
        raise TestnetMisused(
            f"{path / 'outcome.json'}: runner: {outcome['runner']!r}: allowed is one of {', '.join(RUNNERS)}"
        )
    return outcome, environment


def _read(file: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of that file; TestnetMisused, which names it, where that is nothing."""
    try:
        return read(file)
    except FileNotFoundError as error:
        raise TestnetMisused(f"{file.parent} is not the folder of a whole run: it has no {file.name}") from error
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise TestnetMisused(f"{file} cannot be read as a run's: {type(error).__name__}: {error}") from error


def _record(file: Path) -> dict[str, Any]:
    return _object(json.loads(file.read_text()))


def _records(file: Path) -> list[dict[str, Any]]:
    return [_object(json.loads(line)) for line in file.read_text().splitlines()]


def _with(keys: Sequence[str], record: dict[str, Any]) -> dict[str, Any]:
    """The record, if it has all of those."""
    for key in keys:
        if key not in record:
            raise ValueError(f"it has no {key!r}")
    return record


def _all_with(keys: Sequence[str], records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_with(keys, record) for record in records]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an object is allowed here")
    return value


def _recording(path: Path, origin: float) -> Recording:
    recording = Recording()
    with _opened(path) as file:
        for line in file:
            if line.startswith("#"):
                continue
            sample, _, at = line.rstrip("\n").rpartition(" ")
            parsed = parse_sample(sample)
            if parsed is None:
                recording.damaged += 1
                continue
            _add(recording, float(at) - origin, *parsed)
    end = max((series.times[-1] for series in recording), default=0.0)
    for series in recording:
        # A fault that is over is told no more, and is not to look longer than it was.
        if end - series.times[-1] > 1.5 * STEP:
            series.gone_at = series.times[-1] + STEP
    return recording


def _opened(path: Path) -> TextIO:
    """That file, or its packed form, which a folder that is kept for long has instead."""
    packed = path.with_name(f"{path.name}.gz")
    return gzip.open(packed, "rt") if packed.is_file() and not path.is_file() else path.open()


def _add(recording: Recording, at: float, name: str, labels: Labels, value: float) -> None:
    """Adds a sample, and before it those that were left out because nothing had changed."""
    series = recording.find(name, labels)
    if series is not None:
        last, held = series.times[-1], series.values[-1]
        if held == value and STEP * 1.5 < at - last <= KEPT_EVERY + 2 * STEP:
            for step in range(1, round((at - last) / STEP)):
                recording.add(last + step * STEP, name, labels, held)
    recording.add(at, name, labels, value)
