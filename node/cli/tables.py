"""Plain text tables, and numbers as people read them.

Knows nothing of nodes. Text that came over a network passes through `clean`, so that no peer can write control
sequences to a terminal.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["clean", "count", "duration", "per_cent", "ratio", "spark_line", "table"]

_BARS = "▁▂▃▄▅▆▇█"
_CELL_CHARACTERS_MAX = 200


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> list[str]:
    """Lines of a table with aligned columns; columns whose index is in `numbers` are aligned to the right."""
    cells = [list(header), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def clean(text: object) -> str:
    """The text as one printable cell of bounded length."""
    printable = "".join(character if character.isprintable() else "?" for character in str(text))
    return printable if len(printable) <= _CELL_CHARACTERS_MAX else printable[:_CELL_CHARACTERS_MAX] + "..."


def duration(seconds: object) -> str:
    """Seconds as a short text with three digits and a unit; `-` for what was not measured."""
    if not isinstance(seconds, int | float):
        return "-"
    if seconds >= 86_400:
        return f"{seconds / 86_400:.1f} d"
    if seconds >= 3_600:
        return f"{seconds / 3_600:.1f} h"
    if seconds >= 100:
        return f"{seconds / 60:.1f} min"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.001:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.0f} us"


def count(value: object) -> str:
    """A whole number, or `-` for what was not measured."""
    return str(value) if isinstance(value, int) else "-"


def per_cent(share: object) -> str:
    """A share from 0 to 1, or `-` for what was not measured."""
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else "-"


def ratio(part: object, whole: object) -> str:
    """`part` and its share of `whole` in per cent."""
    if not isinstance(part, int):
        return "-"
    if not isinstance(whole, int) or whole <= 0:
        return str(part)
    return f"{part} ({100 * part / whole:.1f} %)"


def spark_line(values: Collection[float]) -> str:
    """The values as bars between 0 and the largest of them."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BARS[0] * len(values)
    return "".join(_BARS[min(len(_BARS) - 1, max(0, int(value / most * len(_BARS))))] for value in values)
