"""Draws lines over time as SVG: no script, no font, no file beside it, and the same bytes for the same numbers.

Knows nothing of metrics. Colours are classes, which the page's style gives a light and a dark form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Band", "Line", "chart", "formatted", "heat_map", "states"]

HEIGHT = 170
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 24
TICKS = 5
TEXT_ROWS_MAX = 12
SPACING = 90
"""Between two times on the axis, in units of the drawing, at least."""
COLOURS = 10
"""Classes c0 to c9; more lines than that share them."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line. points: time and value; nan breaks it. is_reference: dashed and grey."""

    name: str
    points: Sequence[Point]
    is_reference: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of time that is shaded, with its name."""

    name: str
    start: float
    end: float


def chart(lines: Sequence[Line], bands: Sequence[Band], span: tuple[float, float], unit: str, width: int) -> str:
    """An SVG of lines over a span of seconds. unit: as in Grafana (`s`, `percentunit`, `pps`, `short` ...)."""
    values = [value for line in lines for _, value in line.points if math.isfinite(value)]
    most = _highest(max(values, default=0.0), unit)
    start, end = span
    parts = [f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" class="chart">']
    parts += [_band(band, span, width) for band in bands if band.end > start and band.start < end]
    for step in range(TICKS + 1):
        value = most * step / TICKS
        y = _y(value, most)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(formatted(value, unit))}</text>')
    for time in _times(start, end, width):
        x = _x(time, span, width)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{time:g} s</text>')
    for index, line in enumerate(lines):
        kind = "reference" if line.is_reference else f"c{index % COLOURS}"
        path = _path(line.points, span, most, width)
        if path:
            parts.append(f'<path class="line {kind}" d="{path}"><title>{escape(line.name)}</title></path>')
    parts.append("</svg>")
    return "".join(parts)


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    cells: dict[tuple[str, str], float],
    unit: str,
    colour: Callable[[float], str] | None = None,
    has_text: bool = True,
) -> str:
    """A matrix of numbers; rows are senders, columns receivers. colour: of a number; darker where larger without.

    has_text: whether the numbers stand in their cells, which those of a large matrix are too small for.
    """
    size, margin = 42, 90
    has_text = has_text and len(rows) <= TEXT_ROWS_MAX
    kind = "value" if colour else "value plain"
    width, height = margin + size * len(columns) + 10, margin + size * len(rows) + 10
    most = max((value for value in cells.values() if math.isfinite(value)), default=0.0)

    def shade(value: float) -> str:
        if colour is not None:
            return f"fill:{_shade(colour(value))}"
        return f"fill-opacity:{0.06 + 0.94 * (value / most if most else 0.0):.3f}"

    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" class="matrix" style="max-width:{width}px">']
    for at, name in enumerate(columns):
        x = margin + size * at + size / 2
        parts.append(f'<text transform="translate({x + 4:.0f} {margin - 8}) rotate(-60)">{escape(name)}</text>')
    for down, row in enumerate(rows):
        y = margin + size * down
        parts.append(f'<text x="{margin - 8}" y="{y + size / 2 + 4:.0f}" text-anchor="end">{escape(row)}</text>')
        for at, column in enumerate(columns):
            parts.append(_cell((row, column), cells, (margin + size * at, y, size), shade, unit))
            value = cells.get((row, column))
            if has_text and value is not None:
                where = f'x="{margin + size * (at + 0.5) - 1:.0f}" y="{y + size / 2 + 2:.0f}"'
                parts.append(
                    f'<text class="{kind}" {where} text-anchor="middle">{escape(formatted(value, unit))}</text>'
                )
    parts.append("</svg>")
    return "".join(parts)


def states(
    lines: Sequence[Line], words: Mapping[int, tuple[str, str]], span: tuple[float, float], step: float, width: int
) -> str:
    """A row for each line, coloured where it has a value. words: text and colour of each value. step: of the points."""
    height = 22 * max(1, len(lines)) + BOTTOM + TOP
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" class="states">']
    left = LEFT + 90
    scale = (width - RIGHT - left) / ((span[1] - span[0]) or 1.0)
    for row, line in enumerate(lines):
        y = TOP + 22 * row
        parts.append(f'<text x="{left - 6}" y="{y + 14}" text-anchor="end">{escape(line.name)}</text>')
        for start, end, value in _stretches(line.points, step):
            text, colour = words.get(int(value), (f"{value:g}", "grey"))
            x, length = left + (start - span[0]) * scale, (min(end, span[1]) - start) * scale
            title = f"<title>{escape(f'{line.name}: {text}')}</title>"
            rect = (
                f'<rect x="{x:.1f}" y="{y}" width="{max(2.0, length):.1f}" height="18" style="fill:{_shade(colour)}">'
            )
            parts.append(f"{rect}{title}</rect>")
    for time in _times(*span, width - left):
        x = left + (time - span[0]) * scale
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{time:g} s</text>')
    parts.append("</svg>")
    return "".join(parts)


def _shade(colour: str) -> str:
    """What Grafana draws for that name of a colour, on which black letters can be read."""
    return {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}.get(colour, colour)


def formatted(value: float, unit: str) -> str:
    """A number with its unit, short."""
    if not math.isfinite(value):
        return "-"
    match unit:
        case "s":
            return f"{value:.3g} s" if value >= 1 or value == 0 else f"{value * 1000:.3g} ms"
        case "percentunit":
            return f"{value * 100:.3g} %"
        case "bytes" | "Bps":
            power = _power(value)
            return f"{value / (1 << 10 * power):.3g} {('B', 'KiB', 'MiB', 'GiB')[power]}{'/s' if unit == 'Bps' else ''}"
        case "pps" | "cps":
            return f"{value:.3g}/s"
        case _:
            return f"{value:.3g}"


def _stretches(points: Sequence[Point], step: float) -> list[tuple[float, float, float]]:
    """Start, end and value of each stretch in which nothing changes and no point is missing."""
    found: list[tuple[float, float, float]] = []
    for time, value in points:
        if found and found[-1][2] == value and time - found[-1][1] < step / 2:
            found[-1] = (found[-1][0], time + step, value)
        else:
            found.append((time, time + step, value))
    return found


def _cell(
    key: tuple[str, str],
    cells: dict[tuple[str, str], float],
    place: tuple[float, float, float],
    shade: Callable[[float], str],
    unit: str,
) -> str:
    x, y, size = place
    row, column = key
    value = cells.get(key)
    if value is None:
        return f'<rect class="none" x="{x}" y="{y}" width="{size - 2}" height="{size - 2}"/>'
    text = formatted(value, unit)
    title = f"<title>{escape(f'{row} > {column}: {text}')}</title>"
    rect = f'<rect class="heat" style="{shade(value)}"'
    return f'{rect} x="{x}" y="{y}" width="{size - 2}" height="{size - 2}">{title}</rect>'


def _band(band: Band, span: tuple[float, float], width: int) -> str:
    left, right = _x(max(band.start, span[0]), span, width), _x(min(band.end, span[1]), span, width)
    # A fault that happens at once is still to be seen.
    length = max(2.0, right - left)
    height = HEIGHT - TOP - BOTTOM
    title = f"<title>{escape(band.name)}</title>"
    return f'<rect class="band" x="{left:.1f}" y="{TOP}" width="{length:.1f}" height="{height}">{title}</rect>'


def _path(points: Sequence[Point], span: tuple[float, float], most: float, width: int) -> str:
    path, pen = [], "M"
    for time, value in points:
        if not math.isfinite(value):
            pen = "M"
            continue
        path.append(f"{pen}{_x(time, span, width):.1f} {_y(value, most):.1f}")
        pen = "L"
    return "".join(path)


def _x(time: float, span: tuple[float, float], width: int) -> float:
    start, end = span
    return LEFT + (time - start) / ((end - start) or 1.0) * (width - LEFT - RIGHT)


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - value / (most or 1.0) * (HEIGHT - TOP - BOTTOM)


def _highest(most: float, unit: str) -> float:
    """The end of an axis on which nothing is higher."""
    power = 1 << 10 * _power(most) if unit in ("bytes", "Bps") else 1
    return _nice(most / power) * power


def _power(value: float) -> int:
    """Of 1024, for a number of bytes."""
    return min(3, int(math.log2(max(1.0, abs(value)))) // 10)


def _nice(most: float) -> float:
    """The next number of the form 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if most <= step * power * (1 + 1e-9))


def _times(start: float, end: float, width: float) -> list[float]:
    step = _nice((end - start) * SPACING / width)
    first = math.ceil(start / step)
    return [number * step for number in range(first, math.floor(end / step) + 1)]
