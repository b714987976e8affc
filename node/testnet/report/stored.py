"""Reads the folder of a run back: everything that a report shows.

A folder without a sound outcome.json and env.json is no run's. What is wrong with another file is said in one line, and
what can still be read of it is kept.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
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
_TOLD = ("title", "seed", "backend", "verdict", "reason", "published", "delivered", "recovered_after")
_ENVIRONMENT = ("began", "backend_reason", "version", "python", "system")
_TEXTS = ("scenario", "runner", "digest", "title", "backend", "verdict", "reason")
_LISTED = {
    "steady_before": ("probe", "holds", "found"),
    "steady_after": ("probe", "holds", "found"),
    "expectations": ("fault", "what", "holds", "took", "text"),
    "violations": ("invariant", "count", "examples"),
}
_FACTS = ("nodes", "invariants")
_STEP = ("step", "kind", "targets", "planned_start", "planned_end", "started", "ended")
_EVENT = ("node", "at", "event")
_LINK = ("fault", "from", "to", "loss_asked", "loss", "delay_asked", "delay", "applied", "wrong")
"""What a record of each file has at least; anything else is of no run."""

_CHANCE = "\n# What was left to chance"
"""Begins the end of a resolved scenario; then follows one line for each fault."""

_UNREADABLE = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError)

T = TypeVar("T")

_TIME = re.compile(r"[0-9]{1,11}(\.[0-9]+)?")

STEP = 1.0
"""Seconds between two scrapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """One run. Times of the recording are seconds since its timeline began, at the Unix time `began`.

    damage: by name of a file, what is wrong with it; what could be read of it is there all the same.
    """

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
    damage: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> StoredRun:
    """The run in that folder; TestnetMisused if it is none, with the name of the file that says so."""
    outcome, environment = head(path)
    began = _read(path / "env.json", lambda _: _number(_with(_ENVIRONMENT, environment)["began"]))
    began += _read(path / "outcome.json", lambda _: _number(outcome["origin"]))
    outcome = _read(path / "outcome.json", lambda _: _checked(outcome))
    damage: dict[str, str] = {}
    facts: dict[str, Any] = {"nodes": [], "invariants": {}}
    recording = Recording()
    steps: list[dict[str, Any]] = []
    links: list[dict[str, str]] = []
    events: list[dict[str, Any]] = []
    scenario: list[str] = []
    for name, take in (
        ("facts.json", lambda file: facts.update(_facts(file))),
        ("timeline.jsonl", lambda file: steps.extend(map(_step, _records(file)))),
        ("links.csv", lambda file: links.extend(map(_link, csv.DictReader(file.read_text().splitlines())))),
        ("history.jsonl", lambda file: events.extend(_with(_EVENT, one) for one in _records(file))),
        ("scenario.resolved.yaml", lambda file: scenario.append(file.read_text())),
        ("metrics.openmetrics", lambda file: _take_samples(file, began, recording)),
    ):
        wrong = _damage_of(path / name, take)
        if wrong:
            damage[name] = wrong
    text = "".join(scenario)
    if text and _CHANCE not in text:
        damage["scenario.resolved.yaml"] = "is not whole"
    if not steps and "\n# {" in text:
        damage.setdefault("timeline.jsonl", "is empty, although the scenario has faults")
    if not events and outcome.get("published"):
        damage.setdefault("history.jsonl", "is empty, although messages were published")
    return StoredRun(
        path=path,
        began=began,
        outcome=outcome,
        environment=environment,
        facts=facts,
        steps=steps,
        links=links,
        events=events,
        scenario=text,
        recording=recording,
        damage=damage,
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
    except _UNREADABLE as error:
        raise TestnetMisused(f"{file} cannot be read as a run's: {_said(error)}") from error


def _damage_of(file: Path, take: Callable[[Path], object]) -> str:
    """What is wrong with that file, as it ends a sentence that begins with its name; "" where nothing is."""
    try:
        if file.is_file() and not file.stat().st_size and file.suffix != ".jsonl":
            return "is empty"
        take(file)
    except FileNotFoundError:
        return "is missing"
    except _UNREADABLE as error:
        return f"cannot be read as a run's: {_said(error)}"
    return ""


def _said(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _record(file: Path) -> dict[str, Any]:
    return _object(json.loads(file.read_text()))


def _records(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            yield _object(json.loads(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"line {number}: {error}") from error


def _checked(outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome, all of whose values can be shown."""
    texts = {key: str(_with(_TOLD, outcome)[key] or "") for key in _TEXTS}
    recovered = outcome["recovered_after"]
    lists = {
        key: [_answered(needed, _object(one)) for one in list(_with((key,), outcome)[key])]
        for key, needed in _LISTED.items()
    }
    return {**outcome, **texts, "recovered_after": None if recovered is None else _number(recovered), **lists}


def _answered(keys: Sequence[str], record: dict[str, Any]) -> dict[str, Any]:
    """One expectation, answer or violation, all of whose values can be shown."""
    took = _with(keys, record).get("took")
    examples = [str(one) for one in list(record.get("examples", ()))]
    invariant = str(record.get("invariant"))
    return {**record, "took": None if took is None else _number(took), "examples": examples, "invariant": invariant}


def _facts(file: Path) -> dict[str, Any]:
    record = _with(_FACTS, _record(file))
    if not isinstance(record["nodes"], list) or not isinstance(record["invariants"], dict):
        raise TypeError("nodes or invariants are of another kind")
    return record | {"nodes": [str(name) for name in record["nodes"]]}


def _step(record: dict[str, Any]) -> dict[str, Any]:
    """One fault of a timeline, all of whose values can be shown."""
    _with(_STEP, record)
    times = {key: None if record[key] is None else _number(record[key]) for key in ("started", "ended")}
    planned = {key: _number(record[key]) for key in ("planned_start", "planned_end")}
    targets = [str(name) for name in list(record["targets"])]
    return {**record, "step": str(record["step"]), "kind": str(record["kind"]), "targets": targets, **times, **planned}


def _link(record: dict[str, str]) -> dict[str, str]:
    """One measurement of a link, all of whose values can be shown."""
    if None in _with(_LINK, record).values():
        raise ValueError("a line is shorter than the first one")
    for key in ("loss_asked", "loss", "delay_asked", *(("delay",) if record["delay"] else ())):
        _number(record[key])
    return record


def _number(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]  # whatever is no number raises
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number


def _with(keys: Sequence[str], record: dict[str, Any]) -> dict[str, Any]:
    """The record, if it has all of those."""
    for key in keys:
        if key not in record:
            raise ValueError(f"it has no {key!r}")
    return record


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("an object is allowed here")
    return value


def _take_samples(path: Path, origin: float, recording: Recording) -> None:
    """Adds every sample of that file to the recording; ValueError, after all that is there was added, if it is cut."""
    try:
        is_whole = _add_samples(path, origin, recording)
    finally:
        end = max((series.times[-1] for series in recording), default=0.0)
        for series in recording:
            # A fault that is over is told no more, and is not to look longer than it was.
            if end - series.times[-1] > 1.5 * STEP:
                series.gone_at = series.times[-1] + STEP
    if recording.damaged:
        raise ValueError(f"{recording.damaged} of its lines are no samples")
    if not is_whole:
        raise ValueError("it is cut off, for it does not end in # EOF")


def _add_samples(path: Path, origin: float, recording: Recording) -> bool:
    """Adds what can be read; whether the last line is the last of a whole file."""
    line = ""
    with _opened(path) as file:
        for line in file:
            if line.startswith("#"):
                continue
            sample, _, at = line.rstrip("\n").rpartition(" ")
            parsed = parse_sample(sample)
            if parsed is None or not _TIME.fullmatch(at):
                recording.damaged += 1
            else:
                _add(recording, float(at) - origin, *parsed)
    return line == "# EOF\n"


def _opened(path: Path) -> TextIO:
    """That file, or its packed form, which a folder that is kept for long has instead."""
    packed = path.with_name(f"{path.name}.gz")
    return gzip.open(packed, "rt") if packed.is_file() and not path.is_file() else path.open()


def _add(recording: Recording, at: float, name: str, labels: Labels, value: float) -> None:
    """Adds a sample, and before it those that were left out because nothing had changed."""
    series = recording.find(name, labels)
    if series is not None:
        last, held = series.times[-1], series.values[-1]
        if at < last:
            recording.damaged += 1
            return
        if held == value and STEP * 1.5 < at - last <= KEPT_EVERY + 2 * STEP:
            for step in range(1, round((at - last) / STEP)):
                recording.add(last + step * STEP, name, labels, held)
    recording.add(at, name, labels, value)
