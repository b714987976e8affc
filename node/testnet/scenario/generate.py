"""Makes scenarios by chance, and smaller ones of those that fail.

The same seed gives the same scenario. What is made is sound: it passes `lint`, and its faults neither exclude each
other nor take more than a third of the nodes at once, so that a healthy network passes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

__all__ = ["generated", "minimised"]

NODES = (4, 10)
LENGTH = 40
FAULTS = (1, 4)
GAP = 2
"""Seconds between two faults of one node that exclude each other."""

Values = dict[str, Any]


def generated(seed: int) -> Values:
    """The values of a scenario, as a file would have them."""
    random = Random(f"scenario {seed}")  # noqa: S311 (no secret, and must repeat)
    nodes = random.randint(*NODES)
    values: Values = {
        "schema": 1,
        "title": f"by chance, from the seed {seed}",
        "seed": seed,
        "topology": {"nodes": nodes},
        "links": {"all": _link(random)},
        "load": {"publish": f"{random.choice((1, 2, 5, 10))}/s", "size": random.choice((64, 256, 1024, 4096))},
        "settle": "30s",
        "timeline": _timeline(random, nodes),
    }
    return values


def minimised(values: Values, fails: Callable[[Values], bool]) -> Values:
    """The smallest scenario found by leaving out faults, load and impairments one by one while it still fails."""
    smallest = values
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _smaller(smallest):
            if fails(candidate):
                smallest, is_smaller = candidate, True
                break
    return smallest


def _link(random: Random) -> Values:
    link: Values = {"delay": f"{random.choice((1, 5, 20, 50))}ms"}
    if random.random() < 0.5:
        link["loss"] = f"{random.choice((1, 2, 5))}%"
    return link


def _timeline(random: Random, nodes: int) -> list[Values]:
    timeline = []
    # Nodes whose process was touched already; each is touched once, so that no two faults exclude each other.
    free = [f"node-{number}" for number in range(1, nodes)]
    random.shuffle(free)
    for number in range(random.randint(*FAULTS)):
        entry: Values = {"at": f"{random.randint(1, LENGTH // 2)}s", "id": f"fault-{number + 1}"}
        kind = random.choices(list(_KINDS), weights=[weight for weight, _ in _KINDS.values()])[0]
        _, fill = _KINDS[kind]
        entry |= fill(random, free, nodes)
        timeline.append(entry)
    return sorted(timeline, key=lambda entry: int(entry["at"][:-1]))


def _for(random: Random) -> Values:
    return {"for": f"{random.randint(2, LENGTH // 2)}s"}


def _on_links(kind: str, *choices: object) -> Callable[[Random, list[str], int], Values]:
    def fill(random: Random, _free: list[str], nodes: int) -> Values:
        target = "all" if random.random() < 0.3 else f"node-{random.randint(1, nodes - 1)}"
        return {kind: random.choice(choices), "target": target, **_for(random)}

    return fill


def _partition(random: Random, _free: list[str], _nodes: int) -> Values:
    return {"partition": random.choice(("one", "halves", "majority", "third", "ring", "one-way")), **_for(random)}


def _on_process(kind: str, longest: int) -> Callable[[Random, list[str], int], Values]:
    def fill(random: Random, free: list[str], nodes: int) -> Values:
        count = min(len(free), random.randint(1, max(1, nodes // 3)))
        if not count:
            return _partition(random, free, nodes)
        target = sorted(free.pop() for _ in range(count))
        return {kind: None, "target": target, "for": f"{random.randint(2, longest)}s"}

    return fill


_KINDS: dict[str, tuple[int, Callable[[Random, list[str], int], Values]]] = {
    "loss": (4, _on_links("loss", "5%", "10%", "20%")),
    "bursts": (2, _on_links("bursts", {"p": "1%", "r": "20%"}, {"p": "3%", "r": "30%"})),
    "delay": (2, _on_links("delay", "50ms", {"delay": "40ms", "jitter": "20ms", "order": "natural"})),
    "duplicate": (1, _on_links("duplicate", "10%")),
    "corrupt": (1, _on_links("corrupt", "3%")),
    "flap": (1, _on_links("flap", None, {"up": "3s", "down": "1s"})),
    "partition": (4, _partition),
    "kill": (3, _on_process("kill", 15)),
    "stop": (2, _on_process("stop", 10)),
    "pause": (2, _on_process("pause", 5)),
}


def _smaller(values: Values) -> Iterator[Values]:
    timeline = values["timeline"]
    for index in range(len(timeline)):
        rest = timeline[:index] + timeline[index + 1 :]
        known = {entry.get("id") for entry in rest}
        expected = [
            one for one in values.get("expect", []) if {one.get(key) for key in ("detect", "recover", "hold")} & known
        ]
        yield {**values, "timeline": rest} | ({"expect": expected} if "expect" in values else {})
    if values.get("links"):
        yield {key: value for key, value in values.items() if key != "links"}
    groups = values.get("topology", {}).get("groups")
    nodes = values.get("topology", {}).get("nodes", 0)
    if nodes > 3 and not groups:
        yield {**values, "topology": {**values["topology"], "nodes": nodes - 1}}
