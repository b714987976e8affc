"""Answers PromQL over a recording, so that a scenario means the same with and without a Prometheus server.

The language is parsed by a library; this evaluates the part of it that probes and charts need, at one instant: series,
offsets, arithmetic, comparisons, set operations, one-to-one matching, aggregations, and the functions below.
Anything else is refused by name before a run begins. Semantics are those of Prometheus' documentation, with one
difference: rates are not extrapolated to the edges of their range, which scrapes each second make unnecessary.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import promql_parser as ast

from node.metrics.quantiles import quantile
from node.testnet.metrics.exposition import Labels
from node.testnet.metrics.recording import Recording, Series

__all__ = ["BadQuery", "Query", "Vector"]

Vector: TypeAlias = dict[Labels, float]
"""Values by their labels."""

Value: TypeAlias = Vector | float

NAME_LABEL = "__name__"


class BadQuery(ValueError):
    """The expression cannot be read, or asks for something that is not supported here."""


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, ready to be asked. Raises BadQuery when it is made."""

    text: str

    def __post_init__(self) -> None:
        _check(self._parsed())

    def at(self, recording: Recording, time: float) -> Vector:
        """What the expression is at that time; a number is a vector without labels."""
        value = _Evaluation(recording, time).value(self._parsed())
        return {(): value} if isinstance(value, float) else value

    def metrics(self) -> list[str]:
        """The names of the metrics that it asks for, each once."""
        return list(dict.fromkeys(_names(self._parsed())))

    def _parsed(self) -> Any:
        try:
            return ast.parse(self.text)
        except ValueError as error:
            raise BadQuery(" ".join(str(error).split())) from error


class _Evaluation:
    """One expression at one instant."""

    def __init__(self, recording: Recording, time: float) -> None:
        self._recording = recording
        self._time = time

    def value(self, node: Any) -> Value:
        match node:
            case ast.NumberLiteral():
                return float(node.val)
            case ast.ParenExpr():
                return self.value(node.expr)
            case ast.UnaryExpr():
                return _each(self.value(node.expr), lambda number: -number)
            case ast.VectorSelector():
                return self._instant(node)
            case ast.AggregateExpr():
                return self._aggregate(node)
            case ast.BinaryExpr():
                return self._binary(node)
            case ast.Call():
                return self._call(node)
            case _:
                raise BadQuery(f"{type(node).__name__} is not supported here")

    def _instant(self, node: Any) -> Vector:
        time = self._time - _offset(node)
        found = {}
        for series in self._selected(node):
            value = series.at(time)
            if value is not None:
                found[_with_name(series)] = value
        return found

    def _selected(self, node: Any) -> list[Series]:
        matchers = [_matcher(one) for one in node.matchers.matchers]
        candidates = self._recording.named(node.name) if node.name else list(self._recording)
        return [series for series in candidates if all(fits(series) for fits in matchers)]

    def _range(self, node: Any) -> dict[Labels, list[tuple[float, float]]]:
        end = self._time - _offset(node.vector_selector)
        start = end - node.range.total_seconds()
        return {series.labels: series.between(start, end) for series in self._selected(node.vector_selector)}

    def _call(self, node: Any) -> Value:
        name = node.func.name
        if name in _OVER_TIME:
            results = {labels: _OVER_TIME[name](samples) for labels, samples in self._range(node.args[0]).items()}
            return {labels: value for labels, value in results.items() if value is not None}
        if name == "label_replace":
            return _relabelled(self.value(node.args[0]), *(argument.val for argument in node.args[1:]))
        if name == "histogram_quantile":
            share, buckets = self.value(node.args[0]), self.value(node.args[1])
            assert isinstance(share, float)
            assert not isinstance(buckets, float)
            return _histogram_quantile(share, buckets)
        arguments = [self.value(argument) for argument in node.args]
        if name == "time":
            return self._time
        if name == "vector":
            return {(): float(str(arguments[0]))}
        if name == "scalar":
            (values,) = arguments
            return next(iter(values.values())) if isinstance(values, dict) and len(values) == 1 else math.nan
        if name == "absent":
            return {} if arguments[0] else {(): 1.0}
        numbers = [argument for argument in arguments[1:] if isinstance(argument, float)]
        return _each(arguments[0], lambda number: _PLAIN[name](number, *numbers))

    def _aggregate(self, node: Any) -> Vector:
        values = self.value(node.expr)
        assert not isinstance(values, float)
        groups: dict[Labels, list[tuple[Labels, float]]] = {}
        for labels, value in values.items():
            groups.setdefault(_grouped(labels, node.modifier), []).append((labels, value))
        name = _aggregation(node)
        if name in ("topk", "bottomk"):
            count = _count(name, float(str(self.value(node.param))))
            chosen: Vector = {}
            for members in groups.values():
                ranked = sorted(members, key=lambda pair: pair[1], reverse=name == "topk")
                chosen.update(ranked[:count])
            return chosen
        return {labels: _AGGREGATIONS[name]([value for _, value in members]) for labels, members in groups.items()}

    def _binary(self, node: Any) -> Value:
        left, right = self.value(node.lhs), self.value(node.rhs)
        operation = str(node.op)
        if operation in ("and", "or", "unless"):
            assert isinstance(left, dict)
            assert isinstance(right, dict)
            return _set_operation(operation, left, right, node.modifier)
        is_filter = operation in _COMPARISONS and not (node.modifier is not None and node.modifier.return_bool)
        compute = _COMPARISONS.get(operation) or _ARITHMETIC[operation]
        if isinstance(left, float) and isinstance(right, float):
            return float(compute(left, right))
        if isinstance(left, dict) and isinstance(right, dict):
            return _matched(left, right, compute, node.modifier, is_filter=is_filter)
        found: Vector = {}
        vector = left if isinstance(left, dict) else right
        assert isinstance(vector, dict)
        for labels, value in vector.items():
            pair = (value, right) if isinstance(right, float) else (left, value)
            result = compute(float(str(pair[0])), float(str(pair[1])))
            if not is_filter:
                found[_nameless(labels)] = float(result)
            elif result:
                found[labels] = value
        return found


def _names(node: Any) -> Iterator[str]:
    match node:
        case ast.VectorSelector():
            if node.name:
                yield node.name
        case ast.MatrixSelector():
            yield from _names(node.vector_selector)
        case ast.ParenExpr() | ast.UnaryExpr() | ast.AggregateExpr():
            yield from _names(node.expr)
        case ast.BinaryExpr():
            yield from _names(node.lhs)
            yield from _names(node.rhs)
        case ast.Call():
            for argument in node.args:
                yield from _names(argument)
        case _:
            return


def _check(node: Any) -> None:
    """Raises BadQuery for whatever would fail only when it is asked."""
    match node:
        case ast.NumberLiteral():
            return
        case ast.VectorSelector():
            if node.at is not None:
                raise BadQuery("@ is not supported here")
            for one in node.matchers.matchers:
                _matcher(one)
        case ast.ParenExpr() | ast.UnaryExpr():
            _check(node.expr)
        case ast.AggregateExpr():
            _check_aggregate(node)
        case ast.BinaryExpr():
            _check_binary(node)
        case ast.Call():
            _check_call(node)
        case _:
            raise BadQuery(f"{type(node).__name__} is not supported here")


def _check_aggregate(node: Any) -> None:
    if _aggregation(node) not in (*_AGGREGATIONS, "topk", "bottomk"):
        raise BadQuery(f"{_aggregation(node)} is not supported here")
    _check(node.expr)
    if node.param is not None:
        _check(node.param)


def _check_binary(node: Any) -> None:
    operation = str(node.op)
    if operation not in (*_ARITHMETIC, *_COMPARISONS, "and", "or", "unless"):
        raise BadQuery(f"{operation} is not supported here")
    if node.modifier is not None and node.modifier.card == ast.VectorMatchCardinality.OneToMany:
        raise BadQuery("group_right is not supported here")
    _check(node.lhs)
    _check(node.rhs)


def _check_call(node: Any) -> None:
    name = node.func.name
    known = (*_OVER_TIME, *_PLAIN, "histogram_quantile", "time", "vector", "scalar", "absent", "label_replace")
    if name not in known:
        raise BadQuery(f"{name}() is not supported here; there are {', '.join(sorted(known))}")
    for argument in node.args:
        if name == "label_replace" and isinstance(argument, ast.StringLiteral):
            continue
        is_range = isinstance(argument, ast.MatrixSelector)
        if is_range != (name in _OVER_TIME):
            raise BadQuery(f"{name}() takes {'a range' if name in _OVER_TIME else 'no range'}")
        _check(argument.vector_selector if is_range else argument)


# --- labels -------------------------------------------------------------------------------------------------------


def _with_name(series: Series) -> Labels:
    return ((NAME_LABEL, series.name), *series.labels)


def _nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != NAME_LABEL)


def _grouped(labels: Labels, modifier: Any) -> Labels:
    if modifier is None:
        return ()
    names = set(modifier.labels)
    is_by = modifier.type == ast.AggModifierType.By
    return tuple(pair for pair in _nameless(labels) if (pair[0] in names) == is_by)


def _matching(labels: Labels, modifier: Any) -> Labels:
    matching = None if modifier is None else modifier.matching
    if matching is None:
        return _nameless(labels)
    names = set(matching.labels)
    is_on = matching.type == ast.LabelModifierType.Include
    return tuple(pair for pair in _nameless(labels) if (pair[0] in names) == is_on)


def _matcher(one: Any) -> Callable[[Series], bool]:
    name, wanted = one.name, one.value

    def value(series: Series) -> str:
        return dict(series.labels).get(name, series.name if name == NAME_LABEL else "")

    if one.op == ast.MatchOp.Equal:
        return lambda series: value(series) == wanted
    if one.op == ast.MatchOp.NotEqual:
        return lambda series: value(series) != wanted
    pattern = re.compile(wanted)
    if one.op == ast.MatchOp.Re:
        return lambda series: pattern.fullmatch(value(series)) is not None
    return lambda series: pattern.fullmatch(value(series)) is None


def _offset(node: Any) -> float:
    return node.offset.total_seconds() if node.offset is not None else 0.0


def _aggregation(node: Any) -> str:
    return str(node.op)


# --- operations ---------------------------------------------------------------------------------------------------


def _count(name: str, number: float) -> int:
    """How many `topk` and `bottomk` are to leave; below 1 none."""
    if not math.isfinite(number):
        raise BadQuery(f"{name} takes a number, and {number} is none")
    return max(0, int(number))


def _each(value: Value, function: Callable[[float], float]) -> Value:
    if isinstance(value, float):
        return function(value)
    return {_nameless(labels): function(number) for labels, number in value.items()}


def _matched(
    left: Vector, right: Vector, compute: Callable[[float, float], float], modifier: Any, *, is_filter: bool
) -> Vector:
    partners: dict[Labels, float] = {}
    origins: dict[Labels, Labels] = {}
    for labels, value in right.items():
        key = _matching(labels, modifier)
        if key in partners:
            raise BadQuery(f"several series on the right match {dict(key)}")
        partners[key] = value
        origins[key] = labels
    found: Vector = {}
    for labels, value in left.items():
        key = _matching(labels, modifier)
        if key in partners:
            result = compute(value, partners[key])
            if not is_filter:
                found[_joined(labels, key, origins[key], modifier)] = float(result)
            elif result:
                found[labels] = value
    return found


def _joined(left: Labels, key: Labels, right: Labels, modifier: Any) -> Labels:
    """Labels of a result: those that matched; with group_left all of the left side, and the named ones of the right."""
    if modifier is None or modifier.group_labels is None:
        return key
    names = set(modifier.group_labels)
    taken = tuple(pair for pair in right if pair[0] in names)
    return tuple(sorted((*(pair for pair in _nameless(left) if pair[0] not in names), *taken)))


def _relabelled(values: Value, target: str, replacement: str, source: str, pattern: str) -> Value:
    """As `label_replace`: where the source label fits the pattern, the target gets the replacement."""
    if isinstance(values, float):
        return values
    found: Vector = {}
    for labels, value in values.items():
        match = re.fullmatch(pattern, dict(labels).get(source, ""))
        pairs = dict(labels)
        if match is not None:
            pairs[target] = match.expand(re.sub(r"\$(\d+)", r"\\\1", replacement))
        found[tuple(sorted((name, text) for name, text in pairs.items() if text))] = value
    return found


def _set_operation(operation: str, left: Vector, right: Vector, modifier: Any) -> Vector:
    rights = {_matching(labels, modifier) for labels in right}
    if operation == "or":
        lefts = {_matching(labels, modifier) for labels in left}
        return left | {labels: value for labels, value in right.items() if _matching(labels, modifier) not in lefts}
    is_kept = operation == "and"
    return {labels: value for labels, value in left.items() if (_matching(labels, modifier) in rights) == is_kept}


def _divide(first: float, second: float) -> float:
    if second:
        return first / second
    return math.nan if not first or math.isnan(first) else math.copysign(math.inf, first)


def _whole(towards: Callable[[float], int], value: float) -> float:
    """A whole number; what is infinite or no number stays that."""
    return float(towards(value)) if math.isfinite(value) else value


def _increase(samples: list[tuple[float, float]]) -> float | None:
    """Sum of the rises; a fall is a counter that began again from 0."""
    if len(samples) < 2:
        return None
    values = [value for _, value in samples]
    return sum(after - before if after >= before else after for before, after in pairwise(values))


def _rate(samples: list[tuple[float, float]]) -> float | None:
    increase = _increase(samples)
    return None if increase is None else increase / (samples[-1][0] - samples[0][0])


def _over_values(function: Callable[[list[float]], float]) -> Callable[[list[tuple[float, float]]], float | None]:
    return lambda samples: function([value for _, value in samples]) if samples else None


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def _histogram_quantile(share: float, values: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in values.items():
        bound = dict(labels).get("le")
        if bound is not None:
            rest = tuple(pair for pair in _nameless(labels) if pair[0] != "le")
            groups.setdefault(rest, []).append((float(bound), value))
    return {labels: _quantile_of(share, sorted(buckets)) for labels, buckets in groups.items()}


def _quantile_of(share: float, buckets: list[tuple[float, float]]) -> float:
    """Of cumulative buckets, by their upper limits in order; without an endless one they tell nothing."""
    if len(buckets) < 2 or buckets[-1][0] != math.inf:
        return math.nan
    pairs = pairwise([(0.0, 0.0), *buckets])
    found = quantile(
        share,
        ((above, None if up_to == math.inf else up_to, count - below) for (above, below), (up_to, count) in pairs),
    )
    return math.nan if found is None else found


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": lambda a, b: math.fmod(a, b) if b else math.nan,
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}
_AGGREGATIONS: Mapping[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "min": min,
    "max": max,
    "avg": _mean,
    "count": lambda values: float(len(values)),
}
_OVER_TIME: Mapping[str, Callable[[list[tuple[float, float]]], float | None]] = {
    "rate": _rate,
    "increase": _increase,
    "avg_over_time": _over_values(_mean),
    "max_over_time": _over_values(max),
    "min_over_time": _over_values(min),
    "sum_over_time": _over_values(sum),
    "last_over_time": _over_values(lambda values: values[-1]),
    "changes": _over_values(lambda values: float(sum(before != after for before, after in pairwise(values)))),
    "count_over_time": _over_values(lambda values: float(len(values))),
    "delta": lambda samples: samples[-1][1] - samples[0][1] if len(samples) > 1 else None,
}
_PLAIN: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "clamp_min": max,
    "clamp_max": min,
    "round": lambda value, to=1.0: _whole(math.floor, value / to + 0.5) * to if to else math.nan,
    "ceil": lambda value: _whole(math.ceil, value),
    "floor": lambda value: _whole(math.floor, value),
    "sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
}
