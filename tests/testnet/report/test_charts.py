"""Charts: numbers end up where they belong."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

import pytest

from node.testnet.report.charts import Band, Line, chart, formatted, heat_map

SPAN, WIDTH = (0.0, 10.0), 720


def drawn(*lines: Line, bands: tuple[Band, ...] = (), unit: str = "s") -> ElementTree.Element:
    return ElementTree.fromstring(chart(lines, bands, SPAN, unit, WIDTH))


def path_of(element: ElementTree.Element, index: int = 0) -> list[tuple[float, float]]:
    data = [one.attrib["d"] for one in element.iter("path")][index]
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", data)]


def test_a_line_rises_where_its_numbers_do() -> None:
    points = path_of(drawn(Line("a", [(0, 0.0), (5, 0.5), (10, 1.0)])))
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
    assert points[1][1] == pytest.approx((points[0][1] + points[2][1]) / 2, abs=0.1)


def test_a_gap_stays_a_gap() -> None:
    element = drawn(Line("a", [(0, 1.0), (1, math.nan), (2, 1.0)]))
    assert next(element.iter("path")).attrib["d"].count("M") == 2


def test_a_fault_is_shaded_from_its_beginning_to_its_end() -> None:
    element = drawn(Line("a", [(0, 1.0), (10, 1.0)]), bands=(Band("f: loss", 2.0, 4.0),))
    (band,) = [one for one in element.iter("rect") if one.attrib["class"] == "band"]
    ends = path_of(element)
    left, width = float(band.attrib["x"]), float(band.attrib["width"])
    whole = ends[1][0] - ends[0][0]
    assert (left - ends[0][0]) / whole == pytest.approx(0.2, abs=0.01)
    assert width / whole == pytest.approx(0.2, abs=0.01)


def test_a_fault_of_an_instant_can_be_seen_and_one_out_of_sight_is_not_drawn() -> None:
    bands = (Band("now", 5.0, 5.0), Band("later", 20.0, 30.0))
    widths = [float(one.attrib["width"]) for one in drawn(bands=bands).iter("rect")]
    assert widths == [2.0]


@pytest.mark.parametrize(("most", "unit", "top"), [(3000, "bytes", "5 KiB"), (900 << 10, "Bps", "1e+03 KiB/s")])
def test_axes_of_bytes_end_at_whole_powers(most: float, unit: str, top: str) -> None:
    texts = [one.text for one in drawn(Line("a", [(0, most)]), unit=unit).iter("text")]
    assert texts[5] == top


def test_names_cannot_break_the_page() -> None:
    element = drawn(Line("<script>&", [(0, 1.0), (1, 1.0)]), bands=(Band("<b>", 1, 2),))
    assert {one.text for one in element.iter("title")} == {"<script>&", "<b>"}


def test_a_reference_is_drawn_as_one() -> None:
    assert 'class="line reference"' in chart([Line("a", [(0, 1.0)], is_reference=True)], [], SPAN, "s", WIDTH)


def test_the_same_numbers_give_the_same_bytes() -> None:
    lines = [Line("a", [(0, 1 / 3), (10, 2 / 3)])]
    assert chart(lines, [], SPAN, "s", WIDTH) == chart(lines, [], SPAN, "s", WIDTH)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.02, "s", "20 ms"),
        (1.5, "s", "1.5 s"),
        (0.125, "percentunit", "12.5 %"),
        (3 << 20, "bytes", "3 MiB"),
        (60_000, "bytes", "58.6 KiB"),
        (0, "bytes", "0 B"),
        (5 << 50, "bytes", "5.24e+06 GiB"),
        (1536, "Bps", "1.5 KiB/s"),
        (12.0, "pps", "12/s"),
        (7.0, "short", "7"),
        (math.nan, "s", "-"),
    ],
)
def test_numbers_are_written_with_their_unit(value: float, unit: str, text: str) -> None:
    assert formatted(value, unit) == text


def test_a_matrix_is_darkest_where_the_number_is_largest() -> None:
    cells = {("a", "b"): 0.2, ("b", "a"): 0.1}
    element = ElementTree.fromstring(heat_map(["a", "b"], ["a", "b"], cells, "percentunit"))
    rects = list(element.iter("rect"))
    assert [rect.attrib["class"] for rect in rects] == ["none", "heat", "heat", "none"]
    shades = [float(rect.attrib["style"].split(":")[1]) for rect in rects if "style" in rect.attrib]
    assert shades[0] == 1.0
    assert 0.4 < shades[1] < 0.7
    assert [title.text for title in element.iter("title")] == ["a > b: 20 %", "b > a: 10 %"]
