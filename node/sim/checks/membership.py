"""Who is alive is known, soon, to everybody; and nobody who is alive is taken for dead, or punished for another's deed.

Judged from the records `peer_up`, `peer_down` and, where nodes tell it, `member_changed`: what each node believes of
each other one. Nodes that are paused or cut off are judged again once they have been reachable for long enough.
"""

from __future__ import annotations

from node.sim.checks.base import Check, Report, Situation, seconds_of
from node.sim.history import Record, node_name
from node.types import MILLISECOND, SECOND, Duration, Instant

__all__ = ["Beliefs", "CrashesAreKnown", "HonestStayUnpunished", "NoFalseDeaths", "ViewsAgree"]

CRASH_KNOWN_WITHIN: Duration = 4 * SECOND
UNCONFIRMED_WITHIN: Duration = 2 * SECOND
"""More than that, where the only honest node that is left waits for hostile ones to confirm what it finds."""

LEAVE_KNOWN_WITHIN: Duration = 1 * SECOND
VIEWS_AGREE_WITHIN: Duration = 5 * SECOND
"""After a start, the end of a cut or of a pause."""

DEATH_GRACE: Duration = 10 * SECOND
"""A death that is told so shortly after a start, a cut or a long pause may be about what was before."""

REFUTED_WITHIN: Duration = 3 * SECOND
"""A suspicion of a node that can be reached is refuted everywhere by then."""

PAUSE_TOLERATED: Duration = 1500 * MILLISECOND
"""A node that was stopped for this long at most may not be declared dead."""

_GONE = ("dead", "left", "down")


class Beliefs:
    """What each node believes of each other one: one of alive, suspect, dead, left; absent while it knows nothing."""

    def __init__(self) -> None:
        self._states: dict[int, dict[int, tuple[str, Instant]]] = {}
        self._has_members = False

    def observe(self, record: Record) -> tuple[int, str] | None:
        """The peer and the state that its node believes of it now, if the record changed that."""
        if record.kind == "started":
            self._states[record.node] = {}
            return None
        peer = record.facts.get("peer")
        if not isinstance(peer, int):
            return None
        if record.kind == "member_changed":
            self._has_members = True
            state = str(record.facts["state"])
        elif record.kind == "peer_up" and not self._has_members:
            state = "alive"
        elif record.kind == "peer_down" and not self._has_members:
            state = "left" if record.facts["reason"] == "left" else "dead"
        else:
            return None
        self._states.setdefault(record.node, {})[peer] = state, record.at
        return peer, state

    def of(self, node: int, peer: int) -> str | None:
        """What that node believes of that peer."""
        return self._states.get(node, {}).get(peer, (None, 0))[0]

    def since(self, node: int, peer: int) -> Instant:
        """Since when it does."""
        return self._states.get(node, {}).get(peer, (None, 0))[1]


class CrashesAreKnown(Check):
    """A node that died, or left, is known as gone to every live node within 4 s (1 s).

    The only honest node beside hostile ones has 2 s more.
    """

    name = "crashes-are-known"

    def __init__(self, situation: Situation, report: Report, *, within: Duration = CRASH_KNOWN_WITHIN) -> None:
        super().__init__(situation, report)
        self._beliefs = Beliefs()
        self._within = within
        self._open: dict[int, tuple[Instant, Instant]] = {}
        self.known_after: list[Duration] = []
        """How long each crash took to be known to the last live node."""
        self._told: dict[int, Instant] = {}

    def observe(self, record: Record) -> None:
        changed = self._beliefs.observe(record)
        if changed is not None and changed[0] in self._open and changed[1] in _GONE:
            self._told[changed[0]] = record.at
        if record.kind in ("crashed", "stopped") and self.situation.is_honest(record.node):
            within = self._within if record.kind == "crashed" else LEAVE_KNOWN_WITHIN
            self._open[record.node] = record.at, record.at + within
            self._told.pop(record.node, None)
        elif record.kind == "started":
            self._open.pop(record.node, None)

    def tick(self, now: Instant) -> None:
        grace = UNCONFIRMED_WITHIN if self.situation.has_one_honest else 0
        for gone, (since, deadline) in list(self._open.items()):
            if deadline + grace <= now:
                del self._open[gone]
                self._judge(gone, since, deadline)

    def _judge(self, gone: int, since: Instant, deadline: Instant) -> None:
        if self.situation.was_cut(since, deadline):
            return
        for node in self.situation.honest_living():
            if self.situation.undisturbed_since(node) > since:
                continue
            state = self._beliefs.of(node, gone)
            if state not in (None, *_GONE):
                text = f"{node_name(gone)} has been gone for {seconds_of(self.situation.now - since)}, believed {state}"
                self.fail(node, node_name(gone), text, deadline)
        if gone in self._told:
            self.known_after.append(self._told[gone] - since)


class NoFalseDeaths(Check):
    """No honest node that runs and can be reached is believed dead by an honest node, not even for a moment."""

    name = "no-false-deaths"

    def __init__(self, situation: Situation, report: Report, *, pause: Duration = PAUSE_TOLERATED) -> None:
        super().__init__(situation, report)
        self._beliefs = Beliefs()
        self._pause = pause
        self._excused_until: dict[int, Instant] = {}

    def observe(self, record: Record) -> None:
        changed = self._beliefs.observe(record)
        if record.kind == "paused":
            seconds = record.facts["seconds"]
            assert isinstance(seconds, int | float)
            pause = round(seconds * SECOND)
            if pause > self._pause:
                self._excused_until[record.node] = record.at + pause + DEATH_GRACE
        if changed is not None and changed[1] in ("dead", "down"):
            self._judge(record, changed[0])

    def _judge(self, record: Record, peer: int) -> None:
        situation = self.situation
        if not all(situation.is_alive(node) and situation.is_honest(node) for node in (record.node, peer)):
            return
        if situation.was_cut(record.at - DEATH_GRACE, record.at):
            return
        if min(record.at - situation.lives[node].since for node in (peer, record.node)) < DEATH_GRACE:
            return
        if max(self._excused_until.get(node, 0) for node in (peer, record.node)) > record.at:
            return
        reason = record.facts.get("reason") or record.facts.get("state")
        self.fail(record.node, node_name(peer), f"taken for dead ({reason}) while it lives")


class ViewsAgree(Check):
    """Each live node knows each live node as alive, from some seconds after the last start, pause or cut.

    Losses may raise a suspicion at any time, which is refuted soon.
    """

    name = "views-agree"

    def __init__(self, situation: Situation, report: Report, *, within: Duration = VIEWS_AGREE_WITHIN) -> None:
        super().__init__(situation, report)
        self._beliefs = Beliefs()
        self._within = within
        self._due: Instant | None = None
        self._complained: dict[tuple[int, int], bool] = {}

    def observe(self, record: Record) -> None:
        self._beliefs.observe(record)
        if record.kind in ("started", "resumed", "healed"):
            self._due = record.at + self._within

    def tick(self, now: Instant) -> None:
        if self._due is not None and self._due <= now:
            self._due = None
            self._judge()

    def finish(self, now: Instant) -> None:
        self._judge()

    def _judge(self) -> None:
        situation = self.situation
        latest = situation.now - self._within
        settled = [node for node in situation.honest_living() if situation.undisturbed_since(node) <= latest]
        for node in settled:
            for peer in settled:
                state = self._beliefs.of(node, peer)
                if peer == node or state == "alive" or (node, peer) in self._complained:
                    continue
                if state == "suspect" and self._beliefs.since(node, peer) > situation.now - REFUTED_WITHIN:
                    continue
                self._complained[(node, peer)] = True
                self.fail(node, node_name(peer), f"lives and can be reached, believed {state or 'nobody'}")


class HonestStayUnpunished(Check):
    """No honest node ends the connection of an honest node for what it sent: blame falls on who misbehaved."""

    name = "honest-stay-unpunished"

    def observe(self, record: Record) -> None:
        if record.kind != "peer_down" or record.facts.get("reason") != "protocol_violation":
            return
        peer = record.facts.get("peer")
        if isinstance(peer, int) and self.situation.is_honest(peer) and self.situation.is_honest(record.node):
            self.fail(record.node, node_name(peer), "punished, though it follows the protocol")
