"""The order of a run, and each of its verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from node.testnet.run.conductor import Conductor
from node.testnet.run.verdict import Verdict
from node.testnet.runners.base import Fault, LinkCount
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import resolve
from tests.testnet.run.standin import StandIn

TEXT = """\
schema: 1
title: t
topology: {nodes: 4}
links: {all: {loss: 10%, delay: 5ms}}
settle: 5s
timeline:
  - {at: 2s, id: cut, partition: halves, for: 10s}
  - {at: 15s, id: crash, kill: , target: node-1, for: 3s}
expect:
  - {detect: crash, when: {state: gossip_stats.published, equals: 3}, within: 3s}
  - {recover: cut, to: steady, within: 3s}
"""


def conductor(runner: Any, text: str = TEXT) -> Conductor:
    scenario = parse_scenario(text, file="s.yaml", name="s")
    return Conductor(scenario, resolve(scenario), runner)


def test_a_run_in_which_everything_holds_passes_and_leaves_nothing() -> None:
    runner = StandIn()
    lines: list[str] = []
    run = conductor(runner)
    run.progress = lines.append
    outcome = run.run()
    assert outcome.verdict is Verdict.PASSED, outcome.reason
    assert [fault.kind for fault in runner.applied] == ["partition", "kill"]
    assert runner.healed
    assert runner.is_down
    assert [step.started for step in outcome.steps] == [2.0, 15.0]
    assert [step.ended for step in outcome.steps] == [12.0, 18.0]
    assert outcome.published > 20
    assert outcome.delivered == 3 * outcome.published
    phases = [line.split(":")[0] for line in lines]
    assert phases[:4] == ["up", "links", "verify", "steady"]
    assert phases[-3:] == ["heal", "steady", "judge"]


@pytest.mark.parametrize(("collect", "has_traces"), [("[qlog]", True), ("[metrics, logs]", False)])
def test_traces_are_read_where_the_scenario_collects_them(collect: str, has_traces: bool) -> None:
    run = conductor(StandIn(), f"{TEXT}collect: {collect}\n")
    run.run()
    assert bool(run.traces) == has_traces


def test_a_network_that_is_not_steady_to_begin_with_is_not_broken_further() -> None:
    runner = StandIn()
    runner.peers["node-2"] = 1
    outcome = conductor(runner).run()
    assert outcome.verdict is Verdict.NOT_RUN
    assert "peers at least 3: 1" in outcome.reason
    assert outcome.end >= 5, "the time that it waited"
    assert runner.applied == []
    assert runner.is_down


def test_a_fault_that_does_not_take_effect_is_not_passed() -> None:
    runner = StandIn()
    runner.deaf_links = True
    outcome = conductor(runner).run()
    assert outcome.verdict is Verdict.NOT_APPLIED
    assert "the fault 'cut' did not take effect" in outcome.reason
    assert outcome.verdict.status == 3
    assert runner.healed


def test_a_fault_that_begins_after_its_end_is_not_passed() -> None:
    runner = StandIn()

    def apply(fault: Fault, _origin: float) -> None:
        runner.applied.append(fault)
        runner.time += 11.0

    runner.apply = apply  # type: ignore[method-assign, assignment]
    lines: list[str] = []
    run = conductor(runner)
    run.progress = lines.append
    outcome = run.run()
    assert [line.strip() for line in lines if "cut:" in line] == [
        "13.0 s  cut: partition of 8 links until 12 s, too late to be seen"
    ]
    assert outcome.verdict is Verdict.NOT_APPLIED
    assert outcome.reason == "the fault 'cut' began when it was to be over: this machine is too busy"


def test_what_happens_at_once_and_last_happens_all_the_same() -> None:
    runner = StandIn()
    head = TEXT.partition("timeline:")[0]
    outcome = conductor(runner, head + "timeline:\n  - {at: 5s, restart: , target: node-1}\n").run()
    assert outcome.verdict is Verdict.PASSED, outcome.reason
    assert [(fault.kind, step.started) for fault, step in zip(runner.applied, outcome.steps, strict=True)] == [
        ("restart", 5.0)
    ]


def test_an_impairment_that_does_not_take_effect_is_not_passed() -> None:
    runner = StandIn()
    runner._counted = lambda link, count: LinkCount(link=link, sent=count, received=count)  # type: ignore[method-assign]
    assert conductor(runner).run().reason.startswith("the impairment did not take effect")


def test_a_violated_invariant_fails_the_run_and_says_which() -> None:
    runner = StandIn()
    runner.loses_messages = True
    outcome = conductor(runner).run()
    assert outcome.verdict is Verdict.FAILED
    assert "every_message_everywhere" in outcome.reason


def test_an_expectation_that_never_holds_fails_the_run() -> None:
    outcome = conductor(StandIn(), TEXT.replace("equals: 3", "equals: 4")).run()
    assert outcome.verdict is Verdict.FAILED
    assert "crash detect: not within 3 s: state gossip_stats.published equals 4: 3" in outcome.reason


def test_a_network_that_does_not_become_steady_again_has_deviated() -> None:
    runner = StandIn()

    def heal() -> None:
        runner.peers["node-2"] = 0

    runner.heal = heal  # type: ignore[method-assign]
    outcome = conductor(runner).run()
    assert outcome.verdict is Verdict.DEVIATED
    assert "not steady again" in outcome.reason


def test_what_the_runner_cannot_do_is_said_before_anything_starts() -> None:
    runner = StandIn()
    runner.unable = ["a test has no disk"]
    run, lines = conductor(runner), list[str]()
    run.progress = lines.append
    outcome = run.run()
    assert (outcome.verdict, outcome.verdict.status) == (Verdict.UNSUPPORTED, 127)
    assert lines == [], "what has not begun is not left"
    assert "a test has no disk" in outcome.reason
    elsewhere = conductor(StandIn(), TEXT + "runners: [docker]\n").run()
    assert "it is for docker only" in elsewhere.reason


@pytest.mark.parametrize("error", [KeyboardInterrupt, None])
def test_an_interruption_heals_and_takes_down(error: type[BaseException] | None) -> None:
    runner = StandIn()
    if error is None:
        runner.fails_at = 8.0
    else:

        def apply(*_: object) -> None:
            raise KeyboardInterrupt

        runner.apply = apply  # type: ignore[method-assign, assignment]
    outcome = conductor(runner).run()
    assert outcome.verdict is Verdict.ABORTED
    assert outcome.reason == ("interrupted" if error else "the engine is gone")
    assert runner.healed
    assert runner.is_down
    assert outcome.steady_before


def test_a_run_that_takes_longer_than_its_limit_is_ended() -> None:
    runner = StandIn()
    runner.loses_messages = True
    outcome = conductor(runner, TEXT + "limit: 19s\n").run()
    assert outcome.verdict is Verdict.ABORTED
    assert "the limit of 19 s is over" in outcome.reason
    assert outcome.end > 18, "how long it took is known all the same"
