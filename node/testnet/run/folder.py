"""The folder that a run leaves behind: everything that its verdict rests on, as files that other programs read.

| file | what it holds |
|---|---|
| scenario.resolved.yaml | the scenario with its seed, and as comments what was left to chance and how it fell |
| outcome.json | verdict, reason, expectations, violations, steady states |
| env.json | format of the folder, versions, machine, runner, backend and why |
| timeline.jsonl | each fault with planned and actual times |
| links.csv | each link that was measured: asked and found |
| history.jsonl, facts.json | what the checker judges: `python -m node.testnet.checker RUN` judges it again |
| metrics.openmetrics | every sample, for `promtool tsdb create-blocks-from openmetrics` |
| logs/NODE.log | what each node wrote |
| qlog/NODE/CONNECTION.sqlog | what each node recorded of its connections, for qvis; where the scenario collects it |
| junit.xml | the verdict for a build server |
| report.html | all of it, for people |
"""

from __future__ import annotations

import csv
import io
import json
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import yaml

from node.config.version import package_version
from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.metrics.exposition import render_openmetrics
from node.testnet.run.conductor import Conductor
from node.testnet.run.probes import Answer
from node.testnet.run.verdict import Outcome, Verdict

__all__ = ["CURE", "FORMAT", "KEPT_EVERY", "RunFolder", "junit", "outcome_record", "thinned"]

FORMAT = 1
"""Of the folder; another number for another set of files or fields."""

CURE = "what was written before is kept; make room there, or give another"
"""What to do when a file of many cannot be written; the option follows that names another place."""

# What XML cannot hold, and a quoted line of a log may.
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

KEPT_EVERY = 15.0
"""Seconds; a server that reads the samples takes a series for gone after five minutes."""


class RunFolder:
    """One run's folder. Raises TestnetMisused if it exists already, TestnetFailed when it cannot be made."""

    def __init__(self, parent: Path, name: str, seed: int, *, began: float) -> None:
        """began: Unix time of the run."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(began))
        self.path = parent / f"{stamp}-{name}-{seed}"
        self.began = began
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir()
        except (FileExistsError, NotADirectoryError) as error:
            if not parent.is_dir():
                raise TestnetMisused(f"{parent} is no folder; give another --out") from error
            raise TestnetMisused(f"{self.path} exists already; move it away, or give another --out") from error
        except OSError as error:
            raise TestnetFailed(f"{self.path} cannot be made: {error.strerror}") from error

    def write(self, conductor: Conductor, source: Mapping[str, Any]) -> None:
        """Writes every file; TestnetFailed names the one that could not be written, what was written before stays.

        source: the scenario as it was read.
        """
        outcome = conductor.outcome
        for name, content in self._contents(conductor, source):
            path = self.path / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    for part in content:
                        file.write(part)
            except OSError as error:
                reason = f"{path} cannot be written: {error.strerror}; {CURE} --out"
                raise TestnetFailed(f"{outcome.verdict}, but {reason}") from error

    def _contents(
        self, conductor: Conductor, source: Mapping[str, Any]
    ) -> Iterator[tuple[str, Iterator[bytes]]]:  # fmt: skip
        for name, text in self._texts(conductor, source):
            yield name, (part.encode() for part in text)
        for node, files in conductor.traces.items():
            for name, data in files.items():
                yield f"qlog/{node}/{name}", iter([data])

    def _texts(self, conductor: Conductor, source: Mapping[str, Any]) -> Iterator[tuple[str, Iterator[str]]]:
        scenario, outcome, runner = conductor.scenario, conductor.outcome, conductor.runner
        environment = {
            "format": FORMAT,
            "version": package_version(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "machine": platform.machine(),
            "runner": runner.name,
            "backend": runner.backend,
            "backend_reason": runner.reason,
            "began": self.began,
            "seed": scenario.seed,
        }
        yield "scenario.resolved.yaml", _resolved(conductor, source)
        yield "outcome.json", _json(outcome_record(conductor))
        yield "env.json", _json(environment)
        yield "timeline.jsonl", _lines(asdict(step) for step in outcome.steps)
        yield "links.csv", _links(outcome)
        yield "history.jsonl", _lines(conductor.events)
        yield "facts.json", _json(_facts(conductor))
        yield "junit.xml", iter([junit([(scenario.name, outcome)])])
        for node, lines in conductor.logs.items():
            yield f"logs/{node}.log", (f"{line}\n" for line in lines)
        series = (
            (one.name, one.labels, [(self.began + at, value) for at, value in thinned(one.times, one.values)])
            for one in conductor.recording
        )
        yield "metrics.openmetrics", render_openmetrics(conductor.recording.families, series)


def thinned(times: Sequence[float], values: Sequence[float]) -> Iterator[tuple[float, float]]:
    """The samples without those in the middle of a stretch where nothing changes, but for one each KEPT_EVERY."""
    kept = -KEPT_EVERY
    for index, (at, value) in enumerate(zip(times, values, strict=True)):
        is_edge = index in (0, len(values) - 1) or value != values[index - 1] or value != values[index + 1]
        if is_edge or at - kept >= KEPT_EVERY:
            kept = at
            yield at, value


def outcome_record(conductor: Conductor) -> dict[str, Any]:
    """What a run ended in, for JSON."""
    outcome, scenario = conductor.outcome, conductor.scenario
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "seed": scenario.seed,
        "runner": conductor.runner.name,
        "backend": conductor.runner.backend,
        "verdict": outcome.verdict.value,
        "reason": outcome.reason,
        "origin": outcome.origin,
        "end": outcome.end,
        "published": outcome.published,
        "delivered": outcome.delivered,
        "recovered_after": outcome.recovered_after,
        "steady_before": [_answer(answer) for answer in outcome.steady_before],
        "steady_after": [_answer(answer) for answer in outcome.steady_after],
        "expectations": [
            {
                "fault": one.expectation.fault,
                "what": one.expectation.what,
                "holds": one.holds,
                "took": one.took,
                "text": one.text,
            }
            for one in outcome.expectations
        ],
        "violations": [asdict(violation) for violation in outcome.violations],
        "digest": outcome.digest,
    }


def junit(outcomes: list[tuple[str, Outcome]]) -> str:
    """JUnit XML with one test case for each run."""
    failures = sum(outcome.verdict in (Verdict.FAILED, Verdict.DEVIATED) for _, outcome in outcomes)
    skipped = sum(outcome.verdict is Verdict.UNSUPPORTED for _, outcome in outcomes)
    errors = sum(outcome.verdict is not Verdict.PASSED for _, outcome in outcomes) - failures - skipped
    cases = "".join(_case(name, outcome) for name, outcome in outcomes)
    counts = f'tests="{len(outcomes)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    return f'{head}<testsuites {counts}><testsuite name="chaos" {counts}>\n{cases}</testsuite></testsuites>\n'


def _case(name: str, outcome: Outcome) -> str:
    head = f'  <testcase classname="chaos" name={quoteattr(name)} time="{outcome.end:.3f}"'
    kind = {
        Verdict.PASSED: "",
        Verdict.FAILED: "failure",
        Verdict.DEVIATED: "failure",
        Verdict.UNSUPPORTED: "skipped",
    }.get(outcome.verdict, "error")
    if not kind:
        return f"{head}/>\n"
    text = _UNPRINTABLE.sub("?", f"{outcome.verdict.value}: {outcome.reason}")
    return f"{head}><{kind} message={quoteattr(text)}>{escape(text)}</{kind}></testcase>\n"


def _resolved(conductor: Conductor, source: Mapping[str, Any]) -> Iterator[str]:
    values = {**source, "seed": conductor.scenario.seed}
    yield yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
    yield "\n# What was left to chance, as the seed decided it:\n"
    for fault in conductor.schedule.faults:
        yield f"# {json.dumps(fault.record())}\n"


def _links(outcome: Outcome) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        [
            "fault",
            "from",
            "to",
            "sent",
            "received",
            "loss_asked",
            "loss",
            "delay_asked",
            "delay",
            "applied",
            "wrong",
            "machine",
        ]
    )
    for step, one in outcome.links:
        delay = "" if one.delay_measured is None else f"{one.delay_measured:.6f}"
        row = [step, *one.link, one.sent, one.received, f"{one.loss_asked:.6f}", f"{one.loss_measured:.6f}"]
        writer.writerow([*row, f"{one.delay_asked:.6f}", delay, one.is_applied, one.text, f"{one.machine:.6f}"])
    yield text.getvalue()


def _facts(conductor: Conductor) -> dict[str, Any]:
    run = conductor.judged()
    return {
        "nodes": list(run.nodes),
        "disturbances": [
            {"node": one.node, "kind": one.kind, "start": one.start, "end": one.end} for one in run.disturbances
        ],
        "end": run.end,
        "settle": run.settle,
        "members": run.members,
        "rss": run.rss,
        "invariants": {one.name: one.limit for one in conductor.scenario.invariants},
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {"probe": str(answer.probe), "holds": answer.holds, "found": answer.text}


def _json(value: object) -> Iterator[str]:
    yield json.dumps(value, indent=2) + "\n"


def _lines(records: Any) -> Iterator[str]:
    return (json.dumps(record) + "\n" for record in records)
