"""Judges a finished run by its histories alone. Imports nothing of the node, so that no bug is shared with it.

Input are events as `runners/base.py` describes them, and what was done to whom; output is what was violated. The same
on stored artefacts: `python -m node.testnet.checker RUN` judges a run again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["Disturbance", "Run", "Violation", "check", "load_run"]

SHOWN_MAX = 5
"""Examples in one violation; the number of all of them is told beside."""

KILLS = ("kill", "memory")
"""Reasons for which a process ended without warning."""

FORGOTTEN = 1.5
"""Seconds before a kill of which a node may know nothing afterwards: it writes down once a second what it delivered."""

_TURNS = ("started", "stopped", "died")

GRACE = 2.0
"""Seconds after a disturbance within which its consequences may still show."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What was done to a node from `start` to `end`. kind: `down`, `frozen`, `cut`, `hostile` or `disturbed`."""

    node: str
    kind: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Run:
    """What is judged. nodes: every name. end: when the last event was read. settle: how long a message may take."""

    nodes: Sequence[str]
    events: Sequence[Mapping[str, Any]]
    disturbances: Sequence[Disturbance]
    end: float
    settle: float
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    logs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rss: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant that did not hold. count: how often. examples: some of them, in words."""

    invariant: str
    count: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.count - len(self.examples)} more" if self.count > len(self.examples) else ""
        return f"{self.invariant}: {'; '.join(self.examples)}{more}"


def check(run: Run, invariants: Mapping[str, float]) -> list[Violation]:
    """The invariants that did not hold. invariants: names, with the limit of those that have one."""
    turns: dict[str, list[Mapping[str, Any]]] = {}
    for event in run.events:
        if event["event"] in _TURNS:
            turns.setdefault(event["node"], []).append(event)
    run = replace(run, disturbances=[_until_it_ran(one, turns.get(one.node, ())) for one in run.disturbances])
    found = []
    for name, limit in invariants.items():
        examples = list(_CHECKS[name](run, limit))
        if examples:
            found.append(Violation(name, len(examples), tuple(examples[:SHOWN_MAX])))
    return found


def load_run(folder: Path) -> tuple[Run, dict[str, float]]:
    """A stored run and the invariants that were asked of it. OSError, ValueError, KeyError."""
    facts = json.loads((folder / "facts.json").read_text())
    events = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    if not events:
        raise ValueError("no node ever began")
    logs = {}
    if (folder / "logs").is_dir():
        logs = {path.stem: path.read_text().splitlines() for path in sorted((folder / "logs").glob("*.log"))}
    run = Run(
        nodes=facts["nodes"],
        events=events,
        disturbances=[Disturbance(**one) for one in facts["disturbances"]],
        end=facts["end"],
        settle=facts["settle"],
        members=facts["members"],
        logs=logs,
        rss=facts["rss"],
    )
    return run, facts["invariants"]


# --- invariants ---------------------------------------------------------------------------------------------------


def _no_duplicate_delivery(run: Run, _limit: float) -> Iterable[str]:
    seen: dict[tuple[str, str], float] = {}
    kills = [(one["node"], one["at"]) for one in _of(run, "stopped") if one.get("reason") in KILLS]
    for event in _of(run, "delivered"):
        key, at = (event["node"], event["message"]), event["at"]
        if key not in seen:
            seen[key] = at
            continue
        first = seen[key]
        if any(node == key[0] and first <= kill <= min(at, first + FORGOTTEN) for node, kill in kills):
            # It died before it could write down that it had delivered it; one more time is one too many.
            seen[key] = at
            continue
        yield f"{key[0]} delivered {_short(key[1])} at {first:.2f} s and again at {at:.2f} s"


def _only_published(run: Run, _limit: float) -> Iterable[str]:
    published = {event["message"]: event["node"] for event in _of(run, "published")}
    hostile = {one.node for one in run.disturbances if one.kind == "hostile"}
    for event in _of(run, "delivered"):
        author = published.get(event["message"])
        if author is None and event.get("origin") not in hostile:
            yield f"{event['node']} delivered {_short(event['message'])}, which nobody published"
        elif author is not None and event.get("origin") not in (None, author):
            yield f"{event['node']} took {_short(event['message'])} of {author} for one of {event['origin']}"


def _every_message_everywhere(run: Run, _limit: float) -> Iterable[str]:
    delivered = {(event["node"], event["message"]) for event in _of(run, "delivered")}
    for event in _of(run, "published"):
        author, message, at = event["node"], event["message"], event["at"]
        if _is_disturbed(run, author, at, at + run.settle, ("down", "hostile")):
            # What an author that died at once has said may have died with it.
            continue
        for node in run.nodes:
            is_excused = _is_disturbed(run, node, at - GRACE, at + run.settle, ("down", "hostile"))
            if node != author and not is_excused and (node, message) not in delivered:
                yield f"{node} never delivered {_short(message)}, which {author} published at {at:.2f} s"


def _same_membership_view(run: Run, _limit: float) -> Iterable[str]:
    living = [node for node in run.nodes if not _is_disturbed(run, node, run.end, run.end, ("down", "hostile"))]
    for node in living:
        if node not in run.members:
            yield f"{node} said nothing of its members"
            continue
        seen = set(run.members[node])
        missing = [other for other in living if other not in (node, *seen)]
        strange = sorted(seen - set(living) - {one.node for one in run.disturbances if one.kind == "hostile"})
        if missing:
            yield f"{node} misses {', '.join(missing)}"
        if strange:
            yield f"{node} still counts {', '.join(strange)}"


def _no_false_death(run: Run, _limit: float) -> Iterable[str]:
    for event in _of(run, "member"):
        if event["state"] != "dead":
            continue
        node, peer, at = event["node"], event["peer"], event["at"]
        if not any(_is_disturbed(run, one, at - run.settle, at, _ANY) for one in (node, peer)):
            yield f"{node} declared {peer} dead at {at:.2f} s, and nothing had happened to either"


def _no_unasked_restart(run: Run, _limit: float) -> Iterable[str]:
    starts: dict[str, int] = {}
    for event in run.events:
        node, at = event["node"], event["at"]
        if event["event"] == "started":
            starts[node] = starts.get(node, 0) + 1
            if starts[node] > 1 and not _is_disturbed(run, node, at - GRACE, at + GRACE, ("down",), slack=GRACE):
                yield f"{node} started again at {at:.2f} s, and nobody had told it to"
        elif event["event"] == "died":
            yield f"{node} ended at {at:.2f} s: {event.get('reason', 'for no reason that it told')}"


def _clean_logs(run: Run, _limit: float) -> Iterable[str]:
    for node, lines in run.logs.items():
        for line in lines:
            if " ERROR " in line or '"level": "ERROR"' in line or "Traceback" in line:
                yield f"{node}: {line.strip()[:160]}"


def _rss_below(run: Run, limit: float) -> Iterable[str]:
    for node, most in run.rss.items():
        if most > limit:
            yield f"{node} had {most / (1 << 20):.0f} MiB, more than {limit / (1 << 20):.0f}"


_ANY = ("down", "frozen", "cut", "hostile")

_CHECKS: Mapping[str, Callable[[Run, float], Iterable[str]]] = {
    "no_duplicate_delivery": _no_duplicate_delivery,
    "only_published": _only_published,
    "every_message_everywhere": _every_message_everywhere,
    "same_membership_view": _same_membership_view,
    "no_false_death": _no_false_death,
    "no_unasked_restart": _no_unasked_restart,
    "clean_logs": _clean_logs,
    "rss_below": _rss_below,
}


def _of(run: Run, kind: str) -> Iterable[Mapping[str, Any]]:
    return (event for event in run.events if event["event"] == kind)


def _is_disturbed(run: Run, node: str, start: float, end: float, kinds: Sequence[str], *, slack: float = 0.0) -> bool:
    """Whether anything of those kinds touched the node between start and end."""
    return any(
        one.node == node and one.kind in kinds and one.start <= end and one.end + slack >= start
        for one in run.disturbances
    )


def _until_it_ran(one: Disturbance, turns: Iterable[Mapping[str, Any]]) -> Disturbance:
    """The disturbance, to the moment at which the node ran again: a process or container may take its time to start.

    turns: the starts and ends of that node. One that never ran again is excused for no longer than was asked.
    """
    if one.kind != "down":
        return one
    end, stopped_at = one.end, None
    for event in turns:
        if event["event"] != "started":
            if one.start <= event["at"] <= one.end + GRACE:
                stopped_at = event["at"]
        elif stopped_at is not None:
            end, stopped_at = max(end, event["at"]), None
    return replace(one, end=end)


def _short(message: str) -> str:
    return message[:8]


def main(arguments: Sequence[str]) -> int:
    """Judges stored runs again; status 1 if any violates what was asked of it, 2 if it cannot be read."""
    if not arguments:
        sys.stderr.write("usage: python -m node.testnet.checker RUN...\n")
        return 2
    status = 0
    for name in arguments:
        try:
            run, invariants = load_run(Path(name))
            violations = check(run, invariants)
        except (OSError, ValueError, KeyError, TypeError) as error:
            sys.stderr.write(f"{name}: not a run that can be judged: {type(error).__name__}: {error}\n")
            return 2
        for violation in violations:
            sys.stdout.write(f"{name}: {violation}\n")
            status = 1
        if not violations:
            sys.stdout.write(f"{name}: every invariant held\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
