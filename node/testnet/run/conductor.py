"""Carries out one scenario: up, verify links, steady before, timeline, heal, steady after, invariants, verdict.

Knows no containers, processes or virtual time: a runner has them. Whatever ends the run, every fault is healed and the
testnet taken down; what was seen until then is kept in the outcome.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from node.impairment.combination import combined
from node.impairment.link import LinkSettings
from node.testnet.checker import Disturbance, Run, check
from node.testnet.errors import NotApplied, TestnetError
from node.testnet.metrics.recording import Recording
from node.testnet.run.expectations import Expectations
from node.testnet.run.probes import Answer, Prober
from node.testnet.run.verdict import Outcome, Step, Verdict
from node.testnet.run.verification import PROBES, LinkFinding, measured
from node.testnet.runners.base import Event, Fault, LinkName, Plan, Runner
from node.testnet.scenario.resolve import LinkFault, NodeFault, Schedule
from node.testnet.scenario.scenario import Scenario
from node.types import to_seconds

__all__ = ["Conductor", "disturbances"]

TICK = 0.5
"""Seconds between two looks at probes."""

SCRAPE_INTERVAL = 1.0
CLOCK_STEP = 1e-6
LINKS_VERIFIED_MAX = 120
"""Links measured at once; of more, every n-th is."""

VERIFIABLE_SECONDS = 2.0
"""A fault on links that is shorter cannot be measured while it lasts."""

DOWN_KINDS = ("kill", "stop", "restart")
_DISTURBANCES = {
    "kill": "down",
    "stop": "down",
    "restart": "down",
    "memory": "down",
    "pause": "frozen",
    "cpu": "frozen",
}


class _Ended(Exception):
    """The run ends here with that verdict."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason


@dataclass(slots=True)
class Conductor:
    """One run. progress: called with a line whenever something begins. After `run`, everything else can be read."""

    scenario: Scenario
    schedule: Schedule
    runner: Runner
    progress: Callable[[str], None] = field(default=lambda _line: None)
    recording: Recording = field(default_factory=Recording)
    outcome: Outcome = field(default_factory=Outcome)
    events: list[Event] = field(default_factory=list)
    logs: dict[str, list[str]] = field(default_factory=dict)
    traces: dict[str, dict[str, bytes]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    _prober: Prober = field(init=False)
    _next_scrape: float = 0.0
    _next_message: float = math.inf
    _sender: int = 0
    _deadline: float = 0.0
    _has_begun: bool = False

    def __post_init__(self) -> None:
        self._prober = Prober(self.runner, self.recording, self.scenario.topology)

    def run(self) -> Outcome:
        """Carries the scenario out. Raises nothing but what is a bug; KeyboardInterrupt becomes `aborted`."""
        outcome = self.outcome
        try:
            self._run()
        except _Ended as ended:
            outcome.verdict, outcome.reason = ended.verdict, ended.reason
        except KeyboardInterrupt:
            outcome.verdict, outcome.reason = Verdict.ABORTED, "interrupted"
        except NotApplied as error:
            outcome.verdict, outcome.reason = Verdict.NOT_APPLIED, str(error)
        except TestnetError as error:
            began = bool(outcome.steady_before)
            outcome.verdict, outcome.reason = Verdict.ABORTED if began else Verdict.NOT_RUN, str(error)
        finally:
            self._leave()
        return outcome

    # --- phases -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        scenario, runner = self.scenario, self.runner
        missing = runner.missing(self.schedule.faults, self.schedule.links)
        if scenario.runners and runner.name not in scenario.runners:
            missing = [f"it is for {' and '.join(scenario.runners)} only", *missing]
        if missing:
            raise _Ended(Verdict.UNSUPPORTED, f"the runner {runner.name} cannot do this here: {'; '.join(missing)}")
        self.progress(f"up: {scenario.topology.nodes} nodes, runner {runner.name}")
        plan = Plan(
            topology=scenario.topology,
            links=self.schedule.links,
            seed=scenario.seed,
            backend=scenario.backend,
            has_traces="qlog" in scenario.collect,
        )
        self._has_begun = True
        runner.up(plan)
        self.progress(f"links: backend {runner.backend} ({runner.reason})")
        self._deadline = runner.now() + to_seconds(scenario.limit)
        self.progress("verify: the links, before anything is broken")
        self._verify("", self._links_to_verify(list(self.schedule.links)))
        self.progress("steady: waiting for the steady state")
        self._steady_before()
        self._timeline()
        self.progress("heal: every fault")
        runner.heal()
        self._steady_after()
        self._judge()

    def _steady_before(self) -> None:
        answers = self._wait_for_steady(to_seconds(self.scenario.settle))
        self.outcome.steady_before = answers
        wrong = [answer for answer in answers if not answer.holds]
        if wrong:
            raise _Ended(Verdict.NOT_RUN, f"not steady to begin with: {_said(wrong)}")

    def _timeline(self) -> None:
        runner, outcome = self.runner, self.outcome
        origin = outcome.origin = runner.now()
        self._next_message = origin if self.scenario.load.rate else math.inf
        expectations = Expectations(self.scenario, self.schedule, origin)
        outcome.steps = [_step(fault) for fault in self.schedule.faults]
        waiting = list(zip(self.schedule.faults, outcome.steps, strict=True))
        length = max((to_seconds(fault.until) for fault in self.schedule.faults), default=0.0)
        end = origin + max(length, expectations.last)
        while (now := self._now()) < end or waiting:
            begun = []
            while waiting and to_seconds(waiting[0][0].at) <= now - origin:
                begun.append(waiting.pop(0))
                self._begin(*begun[-1], origin)
            # What begins at once acts on a link together, so all of it is there before anything is measured.
            for fault, step in begun:
                self._verify_fault(fault, step, at=to_seconds(begun[-1][0].at))
            self._note_ends(now - origin)
            self._prober.down = dict.fromkeys(self._down(now - origin)) | self._hostile(now - origin)
            expectations.look(now, self._prober)
            following = origin + to_seconds(waiting[0][0].at) if waiting else end
            self._pass_time(min(now + TICK, following, end))
        self._note_ends(runner.now() - origin + TICK)
        outcome.expectations = expectations.results()
        self._check_begun()

    def _check_begun(self) -> None:
        """That every fault which lasts began before its end: of one in many parts, any of them."""
        begun: dict[str, bool] = {}
        for step in self.outcome.steps:
            begun[step.step] = begun.get(step.step, False) or not _is_late(step)
        late = [name for name, has_begun in begun.items() if not has_begun]
        if late:
            told = f"the fault {late[0]!r} began when it was to be over: this machine is too busy"
            raise _Ended(Verdict.NOT_APPLIED, told)

    def _begin(self, fault: Fault, step: Step, origin: float) -> None:
        runner = self.runner
        runner.apply(fault, origin)
        step.started = runner.now() - origin
        whom = fault.node if isinstance(fault, NodeFault) else f"{len(fault.links)} links"
        until = f"until {step.planned_end:g} s{', too late to be seen' if _is_late(step) else ''}"
        self.progress(f"{step.started:6.1f} s  {fault.step}: {fault.kind} of {whom} {until}")

    def _verify_fault(self, fault: Fault, step: Step, *, at: float) -> None:
        assert step.started is not None
        if isinstance(fault, LinkFault) and step.planned_end - step.started >= VERIFIABLE_SECONDS:
            self._verify(fault.step, self._links_to_verify(fault.links), at=at)

    def _steady_after(self) -> None:
        began = self.runner.now()
        self.progress("steady: waiting for the steady state to return")
        # A node that misbehaved may be kept away for long, and rightly.
        self._prober.down = self._hostile(math.inf)
        self.outcome.steady_after = self._wait_for_steady(to_seconds(self.scenario.settle))
        if all(answer.holds for answer in self.outcome.steady_after):
            self.outcome.recovered_after = self.runner.now() - began
        self._wait_for_deliveries()

    def _judge(self) -> None:
        outcome, runner = self.outcome, self.runner
        self.progress("judge: expectations and invariants")
        outcome.end = runner.now()
        self._read_histories()
        run = self.judged()
        outcome.violations = check(run, {one.name: one.limit for one in self.scenario.invariants})
        failed = [result.text for result in outcome.expectations if not result.holds]
        failed += [str(violation) for violation in outcome.violations]
        wrong = [answer for answer in outcome.steady_after if not answer.holds]
        if failed:
            raise _Ended(Verdict.FAILED, "; ".join(failed))
        if wrong:
            raise _Ended(Verdict.DEVIATED, f"not steady again: {_said(wrong)}")
        outcome.verdict, outcome.reason = Verdict.PASSED, "every expectation and invariant held"

    def judged(self) -> Run:
        """What the checker is given; the same is stored, so that it can judge again."""
        return Run(
            nodes=self.scenario.topology.names,
            events=self.events,
            disturbances=list(self._disturbances()),
            end=self.outcome.end,
            settle=to_seconds(self.scenario.settle),
            members=self.members,
            logs=self.logs,
            rss=self._most_memory(),
        )

    def _leave(self) -> None:
        """Heals and takes down, whatever happened; a second interruption does not stop it."""
        if not self._has_begun:
            return
        self.outcome.end = self.outcome.end or self.runner.now()
        for leave in (self.runner.heal, self._read_histories, self._read_logs, self.runner.down):
            try:
                leave()
            except (TestnetError, KeyboardInterrupt) as error:
                self.progress(f"while leaving: {str(error) or 'interrupted'}")

    # --- waiting ------------------------------------------------------------------------------------------------

    def _pass_time(self, until: float) -> None:
        """Lets time pass, and meanwhile scrapes and publishes."""
        runner = self.runner
        while True:
            now = self._now()
            if now > self._deadline:
                raise _Ended(Verdict.ABORTED, f"the limit of {to_seconds(self.scenario.limit):g} s is over")
            if now >= self._next_scrape:
                self.recording.scrape(now, runner.scrape())
                self._next_scrape = now + SCRAPE_INTERVAL
            if now >= self._next_message:
                self._publish()
                self._next_message = max(self._next_message + 1 / self.scenario.load.rate, now - 1.0)
            if now >= until:
                return
            runner.sleep_until(min(until, self._next_scrape, self._next_message))

    def _now(self) -> float:
        """The time; a clock that counts nanoseconds may stand a hair before the one that was slept until."""
        return self.runner.now() + CLOCK_STEP

    def _publish(self) -> None:
        """One message of the load, of the next sender that is meant to run."""
        load = self.scenario.load
        down = self._down(self.runner.now() - self.outcome.origin)
        senders = [name for name in self.scenario.topology.members(load.sender) if name not in down]
        if senders:
            self._sender += 1
            self.runner.publish(senders[self._sender % len(senders)], load.size)

    def _wait_for_steady(self, seconds: float) -> list[Answer]:
        deadline = self.runner.now() + seconds
        while True:
            self._pass_time(self.runner.now())
            answers = self._prober.ask(self.scenario.steady)
            if all(answer.holds for answer in answers) or self.runner.now() >= deadline:
                return answers
            self._pass_time(min(self.runner.now() + TICK, deadline))

    def _wait_for_deliveries(self) -> None:
        """Gives the last messages the time that they may take, and no more than they need."""
        self._next_message = math.inf
        deadline = self.runner.now() + to_seconds(self.scenario.settle)
        while self.runner.now() < deadline:
            self._read_histories()
            self.outcome.end = self.runner.now()
            if not check(self.judged(), {"every_message_everywhere": 0.0, "same_membership_view": 0.0}):
                return
            self._pass_time(min(self.runner.now() + TICK, deadline))

    # --- links --------------------------------------------------------------------------------------------------

    def _verify(self, step: str, links: Sequence[LinkName], *, at: float = 0.0) -> None:
        if not links:
            return
        asked = {link: self._asked(link, at) if step else self.schedule.links[link] for link in links}
        findings = measured(lambda again: self.runner.probe(again, PROBES), asked)
        wrong = [finding for finding in findings if not finding.is_applied]
        self.outcome.links += [(step, finding) for finding in findings]
        if wrong:
            what = f"the fault {step!r}" if step else "the impairment"
            raise _Ended(Verdict.NOT_APPLIED, f"{what} did not take effect: {_told(wrong)}")

    def _links_to_verify(self, links: Sequence[LinkName]) -> list[LinkName]:
        every = -(-len(links) // LINKS_VERIFIED_MAX) or 1
        return list(links)[::every]

    def _asked(self, link: LinkName, at: float) -> LinkSettings:
        settings = self.schedule.links[link]
        for fault in self.schedule.faults:
            if not isinstance(fault, LinkFault) or link not in fault.links:
                continue
            if to_seconds(fault.at) <= at < to_seconds(fault.until):
                settings = combined(settings, fault.settings)
        return settings

    # --- what is known afterwards -------------------------------------------------------------------------------

    def _read_histories(self) -> None:
        self.events = self.runner.history()
        self.members = self.runner.members()
        self.outcome.published = sum(event["event"] == "published" for event in self.events)
        self.outcome.delivered = sum(event["event"] == "delivered" for event in self.events)

    def _read_logs(self) -> None:
        self.logs = self.runner.logs()
        self.outcome.digest = self.runner.digest()
        if "qlog" in self.scenario.collect:
            self.traces = self.runner.traces()

    def _note_ends(self, at: float) -> None:
        for step in self.outcome.steps:
            if step.started is not None and step.ended is None and step.planned_end <= at:
                step.ended = max(step.planned_end, step.started)

    def _down(self, at: float) -> list[str]:
        """Nodes that are meant not to run then, or to have begun just now."""
        return [
            fault.node
            for fault in self.schedule.faults
            if isinstance(fault, NodeFault)
            and fault.kind in (*DOWN_KINDS, "pause")
            and to_seconds(fault.at) <= at < to_seconds(fault.until) + 1.0
        ]

    def _hostile(self, at: float) -> dict[str, None]:
        """Nodes that have misbehaved by then: how they see the network is no evidence any more."""
        return {
            fault.node: None
            for fault in self.schedule.faults
            if isinstance(fault, NodeFault) and fault.kind == "hostile" and to_seconds(fault.at) <= at
        }

    def _disturbances(self) -> Iterator[Disturbance]:
        for fault in self.schedule.faults:
            yield from disturbances(fault, self.outcome.origin, self.outcome.end)

    def _most_memory(self) -> dict[str, float]:
        most: dict[str, float] = {}
        for series in self.recording.named("positron_process_resident_memory_bytes"):
            node = dict(series.labels).get("instance", "")
            most[node] = max(most.get(node, 0.0), *series.values)
        return most


def disturbances(fault: Fault, origin: float, run_end: float) -> Iterator[Disturbance]:
    """What the checker has to know of a fault. origin: of its times. run_end: a hostile node is not forgiven before."""
    start, end = origin + to_seconds(fault.at), origin + to_seconds(fault.until)
    if isinstance(fault, LinkFault):
        touched = {name: None for link in fault.links for name in link}
        yield from (Disturbance(name, "cut", start, end) for name in touched)
    elif fault.kind == "hostile":
        yield Disturbance(fault.node, "hostile", start, run_end)
    else:
        yield Disturbance(fault.node, _DISTURBANCES.get(fault.kind, "disturbed"), start, end)


def _step(fault: Fault) -> Step:
    targets = (fault.node,) if isinstance(fault, NodeFault) else tuple(dict.fromkeys(name for name, _ in fault.links))
    return Step(
        step=fault.step,
        kind=fault.kind,
        targets=targets,
        planned_start=to_seconds(fault.at),
        planned_end=to_seconds(fault.until),
    )


def _is_late(step: Step) -> bool:
    """Whether it never was: it lasts, and its time was over before this machine came to it."""
    return step.started is None or step.planned_start < step.planned_end <= step.started


def _said(answers: Sequence[Answer]) -> str:
    return "; ".join(f"{answer.probe}: {answer.text}" for answer in answers)


def _told(findings: Sequence[LinkFinding]) -> str:
    shown = "; ".join(f"{one.link[0]} > {one.link[1]}: {one.text}" for one in findings[:3])
    return f"{shown} and {len(findings) - 3} more" if len(findings) > 3 else shown
