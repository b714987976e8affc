"""What faults must lead to, followed over time."""

from __future__ import annotations

from typing import cast

import pytest

from node.testnet.run.expectations import Expectations
from node.testnet.run.probes import Answer, Prober
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import resolve
from node.testnet.scenario.scenario import Probe

TEXT = """\
schema: 1
title: t
timeline: [{{at: 2s, id: cut, partition: halves, for: 10s}}]
expect: [{expectation}]
"""
ORIGIN = 100.0


class Decided:
    def __init__(self, holds: bool) -> None:
        self.holds = holds

    def ask(self, probes: tuple[Probe, ...]) -> list[Answer]:
        return [Answer(probe, 1.0, holds=self.holds, text="1") for probe in probes]


def followed(expectation: str, holding: tuple[float, float]) -> tuple[bool, float | None]:
    """Looks each half second; the probe holds between these times since the origin."""
    scenario = parse_scenario(TEXT.format(expectation=expectation), file="s.yaml", name="s")
    watched = Expectations(scenario, resolve(scenario), ORIGIN)
    for step in range(60):
        at = step / 2
        prober = cast(Prober, Decided(holding[0] <= at <= holding[1]))
        watched.look(ORIGIN + at, prober)
    (result,) = watched.results()
    return result.holds, result.took


@pytest.mark.parametrize(
    ("holding", "result"),
    [
        ((4.0, 99.0), (True, 2.0)),
        ((0.0, 1.0), (False, None)),
        ((20.0, 99.0), (False, None)),
    ],
)
def test_what_must_be_detected_has_to_show_in_time_after_the_fault_began(
    holding: tuple[float, float], result: tuple[bool, float | None]
) -> None:
    assert followed("{detect: cut, when: {peers: all}, within: 5s}", holding) == result


@pytest.mark.parametrize(
    ("holding", "result"), [((0.0, 99.0), (True, 0.0)), ((15.0, 99.0), (True, 3.0)), ((0.0, 11.0), (False, None))]
)
def test_what_must_recover_has_to_hold_in_time_after_the_fault_ended(
    holding: tuple[float, float], result: tuple[bool, float | None]
) -> None:
    assert followed("{recover: cut, to: steady, within: 5s}", holding) == result


@pytest.mark.parametrize(("holding", "holds"), [((0.0, 99.0), True), ((0.0, 8.0), False), ((3.0, 99.0), False)])
def test_what_must_hold_has_to_do_so_all_the_while(holding: tuple[float, float], holds: bool) -> None:
    assert followed("{hold: cut, when: {peers: all}}", holding)[0] is holds
