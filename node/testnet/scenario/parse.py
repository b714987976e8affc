"""Makes a scenario from its file, or says all that is wrong with it, each with line, field and what is allowed.

Two passes: the schema finds what has the wrong shape, then what only a reader of the whole can see: names that belong
to nobody, faults without an end or on top of each other, expectations of faults that do not exist.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

from node.impairment.combination import combined
from node.impairment.link import LinkSettings
from node.testnet.scenario.faults import KINDS, Kind, Scope
from node.testnet.scenario.links import CLEAN, PRESETS, SETTINGS, parse_settings
from node.testnet.scenario.quantities import BYTES, DURATION, FREQUENCY, MESSAGE, SOME, BadQuantity
from node.testnet.scenario.questions import wrong_question
from node.testnet.scenario.resolve import Unresolvable, faults_of
from node.testnet.scenario.scenario import (
    COLLECTED,
    INVARIANTS,
    RUNNERS,
    Comparison,
    Direction,
    Entry,
    Expectation,
    Invariant,
    Load,
    Probe,
    ProbeKind,
    Scenario,
    Target,
)
from node.testnet.scenario.schema import COMPARISONS, PROBE_KINDS, SCHEMA
from node.testnet.scenario.settings import wrong_settings
from node.testnet.scenario.source import Mistake, Place, Source, SourceError, parse, read
from node.testnet.scenario.topology import ALL, SEED, LinkRule, Topology, TopologyError
from node.testnet.scenario.wording import shown, told
from node.types import SECOND, Duration

__all__ = ["load_scenario", "parse_scenario"]

DEFAULT_NODES = 6
DEFAULT_SETTLE: Duration = 20 * SECOND
START_TIME: Duration = 60 * SECOND
"""Added to the default limit of a run: nodes start, links are measured, histories are read."""

# A number such as 4.0 is none to count with.
_TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
_VALIDATOR = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=_TYPES)(SCHEMA)  # type: ignore[no-untyped-call]  # the library has no types for it


def load_scenario(path: Path) -> Scenario:
    """The scenario in that file; raises SourceError with all its mistakes."""
    return _Builder(read(path), path.stem).scenario()


def parse_scenario(text: str, *, file: str, name: str) -> Scenario:
    """The scenario that the text is; raises SourceError with all its mistakes."""
    return _Builder(parse(text, file), name).scenario()


class _Builder:
    """One file on its way to a scenario. What goes wrong is collected, so that all of it is told at once."""

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._mistakes: list[Mistake] = []

    def scenario(self) -> Scenario:
        self._check_shape()
        values: Mapping[str, Any] = self._source.values
        topology = self._topology(values.get("topology", {}))
        base, rules = self._links(values.get("links", {}), topology)
        timeline = [self._entry(one, index, topology) for index, one in enumerate(values["timeline"])]
        entries = tuple(entry for entry in timeline if entry is not None)
        self._check_ids(entries)
        steady = tuple(self._probes(values.get("steady", [{"peers": "all"}]), ("steady",), topology))
        settle = self._duration(values, "settle", (), DEFAULT_SETTLE)
        length = max((entry.until for entry in entries), default=0)
        scenario = Scenario(
            name=self._name,
            title=values["title"],
            description=values.get("description", ""),
            seed=values.get("seed", zlib.crc32(self._name.encode())),
            topology=topology,
            base=base,
            rules=rules,
            backend=values.get("backend", "auto"),
            runners=tuple(values.get("runners", RUNNERS)),
            load=self._load(values.get("load", {}), topology),
            steady=steady,
            timeline=entries,
            expectations=self._expectations(values.get("expect", []), entries, steady, topology),
            invariants=self._invariants(values.get("invariants")),
            collect=tuple(values.get("collect", COLLECTED[:3])),
            settle=settle,
            limit=self._duration(values, "limit", (), START_TIME + 2 * settle + length),
        )
        self._check_limit(scenario)
        self._raise()
        self._check_faults(scenario)
        self._raise()
        return scenario

    # --- shape --------------------------------------------------------------------------------------------------

    def _check_shape(self) -> None:
        errors = sorted(_VALIDATOR.iter_errors(self._source.values), key=lambda one: list(map(str, one.absolute_path)))
        # Keys that are missing are an error each, and told together: the same words for each of them.
        self._mistakes.extend(dict.fromkeys(mistake for error in errors for mistake in told(self._source, error)))
        self._raise()

    def _raise(self) -> None:
        if self._mistakes:
            raise SourceError(self._mistakes)

    def _wrong(self, place: Place, text: str) -> None:
        self._mistakes.append(self._source.mistake(place, text))

    # --- parts --------------------------------------------------------------------------------------------------

    def _topology(self, values: Mapping[str, Any]) -> Topology:
        nodes = values.get("nodes", max(DEFAULT_NODES, sum(values.get("groups", {}).values())))
        for name, wrong in wrong_settings(values.get("settings", {})):
            self._wrong(("topology", "settings", name), wrong)
        try:
            return Topology(nodes=nodes, groups=values.get("groups", {}), settings=values.get("settings", {}))
        except TopologyError as error:
            self._wrong(("topology", "groups"), str(error))
            return Topology(nodes=nodes)

    def _links(self, values: Mapping[str, Any], topology: Topology) -> tuple[LinkSettings, tuple[LinkRule, ...]]:
        base = PRESETS.get(values.get("preset", ""), CLEAN)
        base = combined(base, self._settings(values.get("all", {}), ("links", "all")))
        rules = []
        for index, one in enumerate(values.get("rules", [])):
            place: Place = ("links", "rules", index)
            fields = {name: value for name, value in one.items() if name not in ("from", "to", "both")}
            source, target = one.get("from", ALL), one.get("to", ALL)
            self._check_names((source,), (*place, "from"), topology)
            self._check_names((target,), (*place, "to"), topology)
            if not fields:
                self._wrong(place, f"changes nothing: allowed is at least one of {', '.join(SETTINGS)}")
            if source == target in topology.names:
                self._wrong((*place, "to"), f"{target!r}: allowed is another node than that of `from`")
            settings = self._settings(fields, place)
            rules.append(LinkRule(source=source, target=target, both=one.get("both", True), settings=settings))
        return base, tuple(rules)

    def _settings(self, fields: Mapping[str, Any], place: Place) -> LinkSettings:
        try:
            return parse_settings(fields)
        except BadQuantity as error:
            name, _, text = str(error).partition(": ")
            self._wrong((*place, name), text)
            return CLEAN

    def _load(self, values: Mapping[str, Any], topology: Topology) -> Load:
        sender = values.get("from", ALL)
        self._check_names((sender,), ("load", "from"), topology)
        rate = self._quantity(FREQUENCY, values.get("publish", 2.0), ("load", "publish"))
        size = self._quantity(MESSAGE, values.get("size", 256), ("load", "size"))
        return Load(rate=rate, size=round(size), sender=sender)

    def _entry(self, values: Mapping[str, Any], index: int, topology: Topology) -> Entry | None:
        place: Place = ("timeline", index)
        kinds = [name for name in values if name in KINDS]
        if len(kinds) != 1:
            said = f"has {' and '.join(kinds)}" if kinds else "has no fault"
            self._wrong(place, f"{said}; allowed is exactly one of {', '.join(KINDS)}")
            return None
        name = kinds[0]
        kind = KINDS[name]
        at = self._duration(values, "at", place, 0)
        before = len(self._mistakes)
        duration = self._duration(values, "for", place, 0)
        if kind.has_end and not duration and len(self._mistakes) == before:
            self._wrong((*place, "for") if "for" in values else place, f"{name} needs `for`: how long it lasts")
        if not kind.has_end and "for" in values:
            self._wrong((*place, "for"), f"{name} happens at once and takes no `for`")
        return Entry(
            id=values.get("id", f"{name}-{index + 1}"),
            kind=name,
            at=at,
            duration=duration,
            parameters=self._parameters(name, values, place, topology),
            target=self._target(kind, values, place, topology),
            peers=self._peers(kind, values, place, topology),
            direction=Direction(values.get("direction", "both")),
        )

    def _parameters(
        self, name: str, values: Mapping[str, Any], place: Place, topology: Topology
    ) -> Mapping[str, object]:
        kind, given, at = KINDS[name], values[name], (*place, name)
        is_short = given is not None and not isinstance(given, Mapping)
        fields: Mapping[str, Any] = {kind.shorthand: given} if is_short else given or {}
        before = len(self._mistakes)
        parameters = {}
        for field, value in fields.items():
            quantity = kind.parameters[field].quantity
            parameters[field] = (
                value if quantity is None else self._quantity(quantity, value, at if is_short else (*at, field))
            )
        if name == "partition":
            self._check_partition(parameters, "target" in values, at, topology)
        if name == "clock" and not fields:
            self._wrong(at, f"allowed is at least one of {', '.join(kind.parameters)}")
        if name == "clock" and {"ahead", "behind"} <= set(fields):
            self._wrong(at, "allowed is one of ahead and behind, not both")
        if name in ("bursts", "delay") and len(self._mistakes) == before:
            self._settings({"bursts": fields} if name == "bursts" else fields, place if name == "bursts" else at)
        return parameters

    def _check_partition(
        self, parameters: Mapping[str, Any], has_target: bool, place: Place, topology: Topology
    ) -> None:
        shape, groups = parameters["shape"], parameters.get("groups")
        if (shape == "groups") != (groups is not None):
            self._wrong(place, "groups belong to the shape `groups`, and it needs them")
        if has_target and shape not in ("one", "one-way"):
            self._wrong((*place[:-1], "target"), f"allowed is none with the shape {shape}: it takes all nodes")
        if groups is None:
            return
        if len(groups) < 2:
            self._wrong((*place, "groups"), f"{shown(groups)}: allowed are two parts and more")
        seen: dict[str, None] = {}
        for index, part in enumerate(groups):
            members = self._check_names(part, (*place, "groups", index), topology)
            for name in members:
                if name in seen:
                    self._wrong((*place, "groups", index), f"{name} is in two parts: allowed is one")
            seen.update(dict.fromkeys(members))

    def _target(self, kind: Kind, values: Mapping[str, Any], place: Place, topology: Topology) -> Target | None:
        given = values.get("target")
        if given is None:
            if kind.needs_target:
                self._wrong(place, "needs `target`: whom it hits")
            return None
        at = (*place, "target")
        if not isinstance(given, Mapping):
            names = _names(given)
            self._check_names(names, at, topology)
            return Target(names=names)
        names = _names(given.get("from", ALL))
        before = len(self._mistakes)
        found = [name for name in self._check_names(names, (*at, "from"), topology) if name != SEED]
        if ("pick" in given) == ("share" in given):
            self._wrong(at, "allowed is one of pick and share, with or without from")
        if not found and len(self._mistakes) == before:
            self._wrong((*at, "from"), "nobody is there to choose from: the seed is hit by name only")
        elif found and given.get("pick", 0) > len(found):
            self._wrong((*at, "pick"), f"{given['pick']}: allowed is 1 to {len(found)}, the nodes there but the seed")
        share = self._quantity(SOME, given["share"], (*at, "share")) if "share" in given else None
        return Target(names=names, pick=given.get("pick"), share=share)

    def _peers(self, kind: Kind, values: Mapping[str, Any], place: Place, topology: Topology) -> tuple[str, ...]:
        for name in ("peers", "direction"):
            if name in values and (kind.scope is not Scope.LINKS or kind is KINDS["partition"]):
                self._wrong((*place, name), "is for faults of links only")
        names = _names(values.get("peers", ALL))
        self._check_names(names, (*place, "peers"), topology)
        return names

    def _probes(self, given: object, place: Place, topology: Topology) -> Iterator[Probe]:
        listed = given if isinstance(given, list) else [given]
        for index, values in enumerate(listed):
            at = (*place, index) if isinstance(given, list) else place
            probe = self._probe(values, at, topology)
            if probe is not None:
                yield probe

    def _probe(self, values: Mapping[str, Any], place: Place, topology: Topology) -> Probe | None:
        kinds = [name for name in values if name in PROBE_KINDS]
        words = [name for name in values if name in COMPARISONS]
        if len(kinds) != 1:
            self._wrong(place, f"allowed is exactly one of {', '.join(PROBE_KINDS)}")
            return None
        kind = ProbeKind(kinds[0])
        if not words and kind is ProbeKind.PEERS:
            comparison = Comparison(word="at_least", value=topology.nodes - 1)
        elif len(words) == 1:
            comparison = Comparison(word=words[0], value=float(values[words[0]]))
        else:
            self._wrong(place, f"allowed is exactly one of {', '.join(COMPARISONS)}")
            return None
        target = values.get("target", ALL)
        self._check_names((target,), (*place, "target"), topology)
        subject = "" if kind is ProbeKind.PEERS else values[kind.value]
        if wrong := wrong_question(kind, subject):
            text = f"{shown(subject)}: {wrong}"
            self._mistakes.append(self._source.mistake((*place, kind.value), text, has_column=True))
        aggregate = values.get("aggregate", "sum" if kind is ProbeKind.LOG else "min")
        return Probe(kind=kind, subject=subject, target=target, aggregate=aggregate, comparison=comparison)

    def _expectations(
        self, given: Sequence[Any], entries: Sequence[Entry], steady: tuple[Probe, ...], topology: Topology
    ) -> tuple[Expectation, ...]:
        known = {entry.id: entry for entry in entries}
        found = []
        for index, values in enumerate(given):
            place: Place = ("expect", index)
            kinds = [name for name in ("detect", "recover", "hold") if name in values]
            if len(kinds) != 1:
                self._wrong(place, "allowed is exactly one of detect, recover, hold")
                continue
            what = kinds[0]
            if values[what] not in known:
                self._wrong((*place, what), f"no fault {values[what]!r}; there are {', '.join(known) or 'none'}")
            if ("when" in values) == ("to" in values):
                self._wrong(place, "allowed is exactly one of `when` and `to: steady`")
            probes = (
                steady if "to" in values else tuple(self._probes(values.get("when", []), (*place, "when"), topology))
            )
            if values.get("when") == []:
                self._wrong((*place, "when"), "asks nothing: allowed is at least one question")
            within = self._duration(values, "within", place, 0)
            self._check_within(what, within, known.get(values[what]), place)
            found.append(Expectation(what=what, fault=values[what], probes=probes, within=within))
        return tuple(found)

    def _check_within(self, what: str, within: Duration, entry: Entry | None, place: Place) -> None:
        """A detection and a recovery take some time, and what holds must hold for some."""
        if what != "hold" and not within:
            self._wrong(place, f"{what} needs `within`: how long it may take")
        if what == "hold" and entry is not None and within >= entry.duration:
            lasts = DURATION.show(entry.duration) if entry.duration else "no time"
            self._wrong(place, f"there is no time to hold in: {entry.id} lasts {lasts}, less `within`")

    def _invariants(self, given: Sequence[Any] | None) -> tuple[Invariant, ...]:
        if given is None:
            return tuple(Invariant(name=name) for name in INVARIANTS if name not in ("rss_below", "clean_logs"))
        found = []
        for index, one in enumerate(given):
            if isinstance(one, str):
                found.append(Invariant(name=one))
            else:
                limit = self._quantity(BYTES, one["rss_below"], ("invariants", index, "rss_below"))
                found.append(Invariant(name="rss_below", limit=limit))
        return tuple(found)

    # --- checks -------------------------------------------------------------------------------------------------

    def _check_ids(self, entries: Sequence[Entry]) -> None:
        seen: dict[str, None] = {}
        for index, entry in enumerate(entries):
            if entry.id in seen:
                self._wrong(("timeline", index), f"two faults are called {entry.id!r}; give one of them another `id`")
            seen[entry.id] = None

    def _check_limit(self, scenario: Scenario) -> None:
        if scenario.limit <= scenario.length:
            limit, end = DURATION.show(scenario.limit), DURATION.show(scenario.length)
            self._wrong(("limit",), f"{limit}: allowed is more than {end}, when the last fault ends")

    def _check_faults(self, scenario: Scenario) -> None:
        try:
            faults_of(scenario)
        except Unresolvable as error:
            index = next(at for at, entry in enumerate(scenario.timeline) if entry.id == error.step)
            self._wrong(("timeline", index), str(error))

    def _check_names(self, names: Sequence[str], place: Place, topology: Topology) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for name in names:
            try:
                found.update(dict.fromkeys(topology.members(name)))
            except TopologyError as error:
                self._wrong(place, str(error))
        return tuple(found)

    def _duration(self, values: Mapping[str, Any], name: str, place: Place, default: Duration) -> Duration:
        return round(self._quantity(DURATION, values[name], (*place, name))) if name in values else default

    def _quantity(self, quantity: Any, value: object, place: Place) -> float:
        try:
            return float(quantity.parse(value))
        except BadQuantity as error:
            self._wrong(place, f"{shown(value)}: allowed is {error}")
            return 0.0


def _names(given: object) -> tuple[str, ...]:
    return tuple(given) if isinstance(given, list) else (str(given),)
