from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.tables import clean, count, duration, per_cent, ratio, spark_line, table


def test_columns_are_aligned() -> None:
    assert table(("NAME", "RTT"), [("a", "1 ms"), ("long name", "10 ms")], numbers=[1]) == [
        "NAME         RTT",
        "a           1 ms",
        "long name  10 ms",
    ]


@given(text=st.text())
def test_no_text_can_control_the_terminal(text: str) -> None:
    assert clean(text).isprintable()
    assert len(clean(text)) <= 210


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.000_25, "250 us"),
        (0.0421, "42.1 ms"),
        (1, "1.00 s"),
        (150, "2.5 min"),
        (7200, "2.0 h"),
        (172_800.0, "2.0 d"),
    ],
)
def test_durations_have_a_unit(seconds: object, text: str) -> None:
    assert duration(seconds) == text


def test_what_was_not_measured_is_a_hyphen() -> None:
    assert (count(None), ratio(None, 5)) == ("-", "-")


def test_a_share_is_in_per_cent() -> None:
    assert [per_cent(share) for share in (0, 0.125, 1.0, None)] == ["0.0 %", "12.5 %", "100.0 %", "-"]


def test_a_ratio_shows_both_number_and_share() -> None:
    assert ratio(5, 200) == "5 (2.5 %)"
    assert ratio(0, 0) == "0"


def test_a_spark_line_goes_from_nothing_to_the_largest() -> None:
    assert spark_line([]) == ""
    assert spark_line([0.0, 0.0]) == "▁▁"
    assert spark_line([0.0, 1.0, 2.0]) == "▁▅█"
