"""The small answers that scenario values give."""

from __future__ import annotations

import math

import pytest

from node.testnet.scenario.scenario import Comparison, Probe, ProbeKind


@pytest.mark.parametrize(
    ("word", "below", "same", "above"),
    [
        ("at_least", False, True, True),
        ("at_most", True, True, False),
        ("above", False, False, True),
        ("below", True, False, False),
        ("equals", False, True, False),
    ],
)
def test_a_comparison_holds_as_its_word_says(word: str, below: bool, same: bool, above: bool) -> None:
    comparison = Comparison(word=word, value=3.0)
    assert [comparison.holds(number) for number in (2.0, 3.0, 4.0)] == [below, same, above]
    assert not comparison.holds(math.nan)


def test_a_probe_reads_as_a_sentence() -> None:
    comparison = Comparison(word="at_least", value=3.0)
    assert str(Probe(kind=ProbeKind.PROM, subject="min(up)", comparison=comparison)) == "prom min(up) at least 3"
