"""Reads YAML and remembers where each value stands, so that every mistake can be pointed at.

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

YAML = "tag:yaml.org,2002:"
PLAIN = tuple(YAML + name for name in ("str", "int", "float", "bool", "null", "map", "seq"))
DATE = f"{YAML}timestamp"
"""Whatever looks like a date is the text that it is."""

Place = tuple[str | int, ...]
"""Keys and indices from the top to a value."""

Mark = tuple[int, int]
"""Line and column, from 1: where a scalar begins; of a mapping or a list, where its key does."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in one place of one file.

    line: from 1; 0 for all of it. column: from 1; 0 where the field says enough.
    """

    file: str
    line: int
    field: str
    text: str
    column: int = 0

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
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
    marks: dict[Place, Mark]

    def mistake(self, place: Sequence[str | int], text: str, *, has_column: bool = False) -> Mistake:
        """That something is wrong at that place, or at the nearest one above it that stands in the file."""
        at = tuple(place)
        while at and at not in self.marks:
            at = at[:-1]
        line, column = self.marks.get(at, (1, 1))
        return Mistake(self.file, line, field_name(place), text, column if has_column else 0)


def read(path: Path) -> Source:
    """The values of that file; raises SourceError with one line for whatever makes it unreadable."""
    try:
        with path.open("rb") as stream:
            data = stream.read(BYTES_MAX + 1)
    except OSError as error:
        raise SourceError([Mistake(str(path), 0, "", error.strerror or str(error))]) from error
    if len(data) > BYTES_MAX:
        raise SourceError([Mistake(str(path), 0, "", f"allowed is a file of up to {BYTES_MAX} bytes")])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        wrong = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise SourceError([Mistake(str(path), line, "", wrong)]) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Source:
    """The values of that text; raises SourceError."""
    marks: dict[Place, Mark] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise SourceError([Mistake(file, 1, "", "the file is empty")])
        values = _values(node, (), marks, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = _mark(mark) if mark is not None else (1, 1)
        said = [error.context, error.problem] if error.problem and error.problem.startswith("but ") else [error.problem]
        wrong = " ".join(" ".join(filter(None, said)).split()) or "cannot be read"
        raise SourceError([Mistake(file, line, "", wrong, column)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SourceError(
            [Mistake(file, line, "", f"the character {_code(error.character)} is not allowed")]
        ) from error
    except RecursionError as error:
        raise SourceError([Mistake(file, 1, "", "nested too deeply")]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SourceError([Mistake(file, 1, "", " ".join(str(error).split())[:200])]) from error
    return Source(file, values, marks)


def field_name(place: Sequence[str | int]) -> str:
    """A place as people write it: `timeline[2].loss.share`."""
    name = ""
    for step in place:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def _values(node: yaml.Node, place: Place, marks: dict[Place, Mark], file: str) -> Any:
    wrong = ""
    if place in marks:
        wrong = "is given twice"
    elif len(marks) >= VALUES_MAX:
        wrong = f"allowed are up to {VALUES_MAX} values"
    elif node.tag not in (*PLAIN, DATE):
        wrong = f"tag {node.tag.removeprefix(YAML)}: allowed are plain values"
    marks[place] = line, _ = _mark(node.start_mark)
    if wrong:
        raise SourceError([Mistake(file, line, field_name(place), wrong)])
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise SourceError([Mistake(file, line, field_name(place), "a key: allowed is plain text")])
            key = str(key_node.value)
            found[key] = _values(value_node, (*place, key), marks, file)
            if not isinstance(value_node, yaml.ScalarNode):
                marks[(*place, key)] = _mark(key_node.start_mark)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_values(item, (*place, index), marks, file) for index, item in enumerate(node.value)]
    return node.value if node.tag == DATE else yaml.SafeLoader("").construct_object(node)


def _code(character: str | int) -> str:
    return f"#x{character if isinstance(character, int) else ord(character):04x}"


def _mark(mark: yaml.Mark) -> Mark:
    return mark.line + 1, mark.column + 1
