"""Sees to it that silence is noticed and is not mistaken: heartbeats, questions, relays, and what follows for the list.

The detector says who is to be asked; this service asks, directly and through others, answers what it is asked, and
tells the membership who stayed silent and who showed itself. A node whose connection broke off is asked after through
others at once, without waiting for its silence. When nobody of many is heard, this node doubts itself first.

Knows nothing of connections; frames go out as actions and come in with the peer that sent them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from node.messages.packing import Value
from node.messages.types import MessageType
from node.peers.actions import Action, Heard, Say
from node.peers.beats import Act, Beat, Clockwork, Question, parse_beat
from node.peers.detector import Detector
from node.peers.membership import Membership
from node.peers.probes import Probe, Probes
from node.peers.settings import PeersSettings
from node.peers.stats import PeerStats
from node.peers.table import Peer, PeerTable
from node.types import Duration, Instant, NodeId, Random

__all__ = ["Watch"]

RELAYS = 3
"""Peers that are asked to ask a silent one."""

LIVELY_INTERVALS = 2
"""Heartbeat intervals within which a sign of life outweighs what others say."""

DEAF_HEALTH = 2
"""Health that hearing nobody makes at worst: an interruption of 5 s is hardly anybody's death, and a node that outlives
many others knows that after 12 s at most."""


class Watch:
    """The watching half of the peer service. digest: what this node has, for its heartbeats."""

    def __init__(
        self,
        settings: PeersSettings,
        table: PeerTable,
        membership: Membership,
        actions: deque[Action],
        stats: PeerStats,
        *,
        random: Random,
    ) -> None:
        self.digest: Callable[[], bytes] = bytes
        self.detector = Detector(settings.heartbeat_interval, stats)
        self._interval: Duration = settings.heartbeat_interval
        self._table = table
        self._membership = membership
        self._actions = actions
        self._stats = stats
        self._random = random
        self.clockwork = Clockwork(settings.wall_offset)
        self._probes = Probes()
        self._broken: dict[NodeId, Instant] = {}
        self._is_cut_off = False
        membership.health = lambda: self.detector.health

    def is_lively(self, node_id: NodeId, now: Instant) -> bool:
        """Whether this node has just heard from that one itself."""
        peer = self._table.get(node_id)
        if peer is None or not peer.is_active or peer.heard_at is None:
            return False
        return now - peer.heard_at <= LIVELY_INTERVALS * self._interval

    def heard(self, peer: Peer, now: Instant) -> None:
        """Anything authenticated came from that peer."""
        self.detector.heard(peer, now)
        if self._is_cut_off:
            self._is_cut_off = False
            self._membership.doubt_own_suspicions(now)
        if self._membership.members.is_suspect(peer.node_id):
            self._membership.heard(peer.node_id, now)

    def linked(self, node_id: NodeId) -> None:
        """That node is connected."""
        self._broken.pop(node_id, None)

    def broken(self, node_id: NodeId, now: Instant) -> None:
        """The last connection to that node broke off: others are asked whether they still hear from it."""
        member = self._membership.members.get(node_id)
        self.clockwork.forget(node_id)
        if member is not None and member.is_present and node_id not in self._broken:
            self._broken[node_id] = now
            self._ask_relays(node_id)

    def receive(self, peer: Peer, fields: list[Value], now: Instant) -> None:
        """A frame from that peer; DecodeError if it is wrong."""
        frame = parse_beat(fields)
        if isinstance(frame, Beat):
            self._stats.heartbeats_received += 1
            peer.heartbeats_received += 1
            sample = self.clockwork.heard(peer.node_id, frame, now)
            self._actions.append(Heard(peer=peer.node_id, digest=frame.digest, clocks=sample))
        elif frame.act is Act.PING:
            self._say(peer.node_id, Act.ACK, frame.number)
        elif frame.act is Act.RELAY:
            self._relay(peer, frame)
        else:
            self._answered(peer, frame, now)

    def tick(self, neighbours: list[Peer], others: list[Peer], now: Instant) -> bool:
        """Heartbeats, questions and verdicts that are due; whether nothing but silence has to be noticed next."""
        findings = self.detector.tick(neighbours, others, now)
        self._stats.local_health = self.detector.health
        for peer in findings.beats:
            self._stats.heartbeats_sent += 1
            peer.heartbeats_sent += 1
            fields = self.clockwork.fields(peer.node_id, self.digest(), now)
            self._actions.append(Say(peer=peer.node_id, kind=MessageType.HEARTBEAT, fields=fields))
        for peer in findings.pings:
            self._say(peer.node_id, Act.PING, self._probes.ask(Probe(peer.node_id)))
        for peer in findings.relays:
            self._ask_relays(peer.node_id)
        for peer in findings.silent:
            self._condemn(peer.node_id, now)
        for node_id, since in list(self._broken.items()):
            if now - since >= self._interval * self.detector.health:
                del self._broken[node_id]
                self._condemn(node_id, now)
        self._membership.tick(now)
        return findings.is_calm and not self._broken and not self._membership.has_accused

    # --- private ------------------------------------------------------------------------------------------------

    def _condemn(self, node_id: NodeId, now: Instant) -> None:
        if self._membership.is_suspected_here(node_id):
            return
        self._probes.forget(node_id)
        if self._is_deaf(now):
            self._is_cut_off = True
            if self.detector.health < DEAF_HEALTH:
                self.detector.worse()
        self._membership.silent(node_id, now)

    def _is_deaf(self, now: Instant) -> bool:
        """Whether nobody of many has shown anything since this node began to ask: then it is itself the problem.

        A few may well be gone all at once, and nobody is left to hear the verdict of one that is cut off.
        """
        asked_at = now - self._interval * self.detector.health
        heard = [peer.heard_at for peer in self._table.active() if peer.heard_at is not None]
        return self._membership.has_many and all(at < asked_at for at in heard)

    def _ask_relays(self, target: NodeId) -> None:
        around = dict.fromkeys(self._membership.members.rings.neighbours(target))
        others = [peer.node_id for peer in self._table.active() if peer.node_id != target]
        near = [node_id for node_id in others if node_id in around]
        far = [node_id for node_id in others if node_id not in around]
        self._random.shuffle(near)
        self._random.shuffle(far)
        for relay in [*near, *far][:RELAYS]:
            self._say(relay, Act.RELAY, self._probes.ask(Probe(target, relay=relay)), target)

    def _relay(self, asker: Peer, question: Question) -> None:
        # At once, so that the asker knows that it is heard, whatever comes of its question.
        self._say(asker.node_id, Act.NACK, question.number)
        target = self._table.get(question.target) if question.target is not None else None
        if target is None or not target.is_active:
            return
        self._stats.probes_relayed += 1
        probe = Probe(target.node_id, asker=asker.node_id, asker_number=question.number)
        self._say(target.node_id, Act.PING, self._probes.ask(probe))

    def _answered(self, peer: Peer, answer: Question, now: Instant) -> None:
        probe = self._probes.answered(answer.number, peer.node_id, is_final=answer.act is Act.ACK)
        if probe is None:
            return
        if probe.asker is not None:
            if answer.act is Act.ACK:
                self._say(probe.asker, Act.ACK, probe.asker_number)
            return
        if probe.relay is None:
            return
        if answer.act is Act.ACK:
            self._broken.pop(probe.target, None)
            target = self._table.get(probe.target)
            if target is not None and target.is_active:
                self.heard(target, now)
            else:
                self._membership.answered(probe.target, now)

    def _say(self, node_id: NodeId, act: Act, *fields: Value) -> None:
        self._actions.append(Say(peer=node_id, kind=MessageType.HEARTBEAT, fields=(int(act), *fields)))
