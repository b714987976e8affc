"""Reads YAML and remembers on which line each value stands, so that every mistake can be pointed at.

Plain values only (no tags, no anchors that grow), bounded in size. Knows nothing of scenarios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Mistake", "Place", "Source", "SourceError", "read"]

BYTES_MAX = 256 << 10
VALUES_MAX = 20_000
"""More than any scenario has, and the end of files that are small and unfold without end."""

PLAIN = "tag:yaml.org,2002:"

Place = tuple[str | int, ...]
"""Keys and indices from the top to a value."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in one place of one file."""

    file: str
    line: int
    field: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.field}: {self.text}" if self.field else f"{where}: {self.text}"


class SourceError(Exception):
    """The file has mistakes; all that were found."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("; ".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Source:
    """The values of a file, and where they stand."""

    file: str
    values: Any
    lines: dict[Place, int]

    def mistake(self, place: Sequence[str | int], text: str) -> Mistake:
        """That something is wrong at that place, or at the nearest one above it that stands in the file."""
        at = tuple(place)
        while at and at not in self.lines:
            at = at[:-1]
        return Mistake(self.file, self.lines.get(at, 1), field_name(place), text)


def read(path: Path) -> Source:
    """The values of that file; raises SourceError with one line for whatever makes it unreadable."""
    try:
        with path.open("rb") as stream:
            data = stream.read(BYTES_MAX + 1)
        text = data.decode()
    except OSError as error:
        raise SourceError([Mistake(str(path), 1, "", error.strerror or str(error))]) from error
    except UnicodeDecodeError as error:
        raise SourceError([Mistake(str(path), 1, "", "not UTF-8")]) from error
    if len(data) > BYTES_MAX:
        raise SourceError([Mistake(str(path), 1, "", f"allowed is a file of up to {BYTES_MAX} bytes")])
    return parse(text, str(path))


def parse(text: str, file: str) -> Source:
    """The values of that text; raises SourceError."""
    lines: dict[Place, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise SourceError([Mistake(file, 1, "", "the file is empty")])
        values = _values(node, (), lines, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise SourceError([Mistake(file, line, "", " ".join(str(error.problem or error.context).split()))]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SourceError([Mistake(file, 1, "", " ".join(str(error).split())[:200])]) from error
    return Source(file, values, lines)


def field_name(place: Sequence[str | int]) -> str:
    """A place as people write it: `timeline[2].loss.share`."""
    name = ""
    for step in place:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def _values(node: yaml.Node, place: Place, lines: dict[Place, int], file: str) -> Any:
    wrong = ""
    if place in lines:
        wrong = "is given twice"
    elif len(lines) >= VALUES_MAX:
        wrong = f"allowed are up to {VALUES_MAX} values"
    elif not node.tag.startswith(PLAIN) or node.tag.startswith(PLAIN + "python"):
        wrong = f"{node.tag}: allowed are plain values"
    if wrong:
        raise SourceError([Mistake(file, node.start_mark.line + 1, field_name(place), wrong)])
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            found[key] = _values(value_node, (*place, key), lines, file)
            lines[(*place, key)] = key_node.start_mark.line + 1
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_values(item, (*place, index), lines, file) for index, item in enumerate(node.value)]
    return yaml.SafeLoader("").construct_object(node)
