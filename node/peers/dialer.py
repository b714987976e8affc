"""Decides whom to dial when, and tells what became of it.

Dialled are: bootstrap addresses nobody is connected from, nodes that were met and lost, nodes heard of, and once each
whatever the application asks for. A node counts as reached when it has introduced itself, not before. Knows the peer
table and the targets; carries nothing out itself but appends to the peer service's actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from node.errors import Code
from node.messages.types import Carrier
from node.peers.actions import Action, Dial, Dialled, Link, Report, Undialled
from node.peers.records import Record
from node.peers.settings import PeersSettings
from node.peers.stats import PeerStats
from node.peers.table import Peer, PeerTable
from node.peers.targets import Target, TargetKey, Targets
from node.transport.events import Closed
from node.types import MILLISECOND, Address, Duration, Instant, NodeId, Random, format_address
from node.wire.limits import ADDRESSES_PER_PEER_MAX, BOOTSTRAP_MAX, DIAL_RETRY_MAX

__all__ = ["Dialer"]

POLITENESS: Duration = 500 * MILLISECOND
"""How long the node with the larger key leaves the dialling to the other one, so that they rarely both do it."""

_EXPLAINED = {
    "network_mismatch": "the node at {address} belongs to another network than {network!r}",
    "version_mismatch": "the node at {address} speaks another version of the protocol",
}


class Dialer:
    """The dialling half of the peer service. `plan` after every change; `dial_at` is its timer."""

    def __init__(
        self, settings: PeersSettings, table: PeerTable, actions: deque[Action], stats: PeerStats, *, random: Random
    ) -> None:
        self.dial_at: Instant | None = None
        self.is_shunned: Callable[[NodeId], bool] = lambda node_id: False
        self._settings = settings
        self._table = table
        self._actions = actions
        self._stats = stats
        self._random = random
        self._targets = Targets(random, is_met=self._is_met)
        self._targets.doubts = self._doubts
        self.is_desired: Callable[[NodeId], bool] = lambda node_id: True
        self.is_confirmed: Callable[[NodeId], bool] = lambda node_id: True
        self.on_failed: Callable[[NodeId, Instant], None] = lambda node_id, now: None
        self.on_greeted: Callable[[NodeId], None] = lambda node_id: None
        self.on_unreachable: Callable[[NodeId, Instant], None] = lambda node_id, now: None
        self.is_present: Callable[[NodeId], bool] = lambda node_id: False

    @property
    def under_way(self) -> int:
        """Dials that have neither failed nor led to a connection."""
        return self._targets.under_way

    # --- what to dial -------------------------------------------------------------------------------------------

    def add_bootstrap(self, address: Address, now: Instant) -> None:
        """An address to be dialled for ever; at most BOOTSTRAP_MAX of them."""
        if sum(target.is_bootstrap for target in self._targets.all()) < BOOTSTRAP_MAX:
            target = self._targets.add(self._anybody_at(address), now)
            if target is not None:
                target.is_bootstrap = True

    def connect(self, address: Address, now: Instant) -> None:
        """An address to be dialled once, at once; exactly one Dialled or final Undialled follows."""
        target = self._targets.add(self._anybody_at(address), now)
        if target is None or target.is_self:
            code = Code.SELF_CONNECTION if target is not None else Code.CONNECTION_LIMIT
            self._undialled(address, code, "this node itself" if target is not None else "too many addresses known")
            return
        target.is_manual = True
        if target.connection is None:
            target.next_at = now

    def learn(self, node_id: NodeId, record: Record, now: Instant) -> bool:
        """A node is said to be at an address, by itself or by others; whether it is going to be dialled there."""
        route = record.address_for(enable_udp=self._settings.enable_udp, enable_tcp=self._settings.enable_tcp)
        if route is None:
            return False
        key = TargetKey(*route, node_id)
        known = self._targets.of(node_id)
        if self._targets.get(key) is None and len(known) >= ADDRESSES_PER_PEER_MAX:
            idle = [target for target in known if target.connection is None]
            if not idle:
                return False
            self._targets.remove(idle[0])
        return self._targets.add(key, now + self._politeness(node_id)) is not None

    def forget_undesired(self) -> None:
        """Drops the addresses of nodes with which no link is wanted any more."""
        for target in self._targets.all():
            node_id = target.key.expected
            is_idle = target.connection is None and not target.is_bootstrap and not target.is_manual
            if node_id is not None and is_idle and not target.is_trial and not self.is_desired(node_id):
                self._targets.remove(target)

    def try_once(self, node_id: NodeId, record: Record, now: Instant) -> None:
        """Dials a node now, whether or not a link is wanted; what comes of it is nobody's concern."""
        route = record.address_for(enable_udp=self._settings.enable_udp, enable_tcp=self._settings.enable_tcp)
        if route is None:
            return
        # Where anybody is dialled for ever, nobody in particular is.
        known = self._targets.get(TargetKey(*route, None)) or self._targets.get(TargetKey(*route, node_id))
        if known is not None and self._is_wanted(known):
            return
        target = known or self._targets.add(TargetKey(*route, node_id), now)
        if target is not None:
            target.is_trial, target.next_at = True, now

    # --- what became of it --------------------------------------------------------------------------------------

    def dialling(self, key: TargetKey, connection: int) -> None:
        """The dial that an action asked for is under way."""
        target = self._targets.get(key)
        if target is not None:
            self._targets.began(target, connection)

    def refused(self, key: TargetKey, reason: str, now: Instant) -> None:
        """The dial that an action asked for could not even begin."""
        target = self._targets.get(key)
        if target is not None:
            self._fail(target, Code.CONNECTION_LIMIT, reason, "", now)

    def connected(self, link: Link, peer: Peer) -> None:
        """A connection with that peer is established."""
        target = self._targets.dialled_by(link.carrier, link.connection)
        if target is not None:
            self._targets.ended(target)
            target.reached = peer.node_id

    def greeted(self, peer: Peer, now: Instant) -> None:
        """That peer has introduced itself; its targets are fulfilled."""
        self.on_greeted(peer.node_id)
        if peer.record is not None:
            self.learn(peer.node_id, peer.record, now)
        for target in self._targets.all():
            if target.node_id == peer.node_id or (target.node_id is None and peer.is_at(target.key.address)):
                target.failures, target.is_trial = 0, False
                self._fulfil(target, peer.node_id)

    def closed(self, link: Link, event: Closed, now: Instant) -> None:
        """A connection ended; if it was a dial under way, that dial failed."""
        if event.code is Code.DUPLICATE_IDENTITY:
            text = f"the node at {format_address(event.address)} is another process with this node's key"
            self._actions.append(Report(kind="identity_conflict", text=text))
        target = self._targets.dialled_by(link.carrier, link.connection)
        if target is None:
            return
        self._targets.ended(target)
        if event.code is Code.REPLACED:
            # Both ends dialled at once and the other connection stays.
            target.reached = event.peer_id or target.reached
            target.next_at = now + POLITENESS
            if target.node_id is not None and self._table.is_active(target.node_id):
                self._fulfil(target, target.node_id)
            return
        target.is_self = event.code is Code.SELF_CONNECTION
        self._fail(target, event.code, event.reason, event.hint, now)

    def lost(self, peer: Peer, event: Closed, now: Instant, *, was_active: bool) -> None:
        """The last connection with that peer ended."""
        for target in self._targets.all():
            if target.node_id != peer.node_id:
                continue
            if was_active:
                target.is_trial = False
                target.next_at = now + self._politeness(peer.node_id)
            else:
                self._fail(target, event.code, event.reason, event.hint, now)

    def postpone(self, peer: Peer, until: Instant) -> None:
        """Leaves that peer alone until then."""
        for target in self._targets.all():
            if target.node_id == peer.node_id:
                target.next_at = max(target.next_at, until)

    # --- dialling -----------------------------------------------------------------------------------------------

    def run(self, now: Instant) -> None:
        """Begins the dials that are due."""
        for target in self._targets.due(now, self._is_wanted):
            # Until the outcome is known; `dialling` follows at once.
            target.next_at = now + DIAL_RETRY_MAX
            self._stats.dials += 1
            self._actions.append(Dial(target=target.key))

    def plan(self) -> None:
        """Finds out when the next dial is due."""
        self.dial_at = self._targets.next_timeout(self._is_wanted)

    def stop(self) -> None:
        """Begins nothing more."""
        self.dial_at = None

    def _is_wanted(self, target: Target) -> bool:
        node_id = target.node_id
        peer = self._table.get(node_id) if node_id is not None else self._table.at(target.key.address)
        if peer is not None and peer.links:
            return False
        if node_id is not None and not target.is_manual and self.is_shunned(node_id):
            return False
        if target.is_manual or target.is_trial or node_id is None:
            return True
        # Whoever is known to live needs no dial for its address's sake.
        return self.is_desired(node_id) or (target.is_bootstrap and not self.is_present(node_id))

    def _fulfil(self, target: Target, node_id: NodeId) -> None:
        if target.is_manual:
            target.is_manual = False
            self._actions.append(Dialled(address=target.key.address, peer=node_id))
            if not target.is_bootstrap and target.connection is None:
                self._targets.remove(target)

    def _fail(self, target: Target, code: Code, reason: str, hint: str, now: Instant) -> None:
        self._stats.dials_failed += 1
        address, was_trial = target.key.address, target.is_trial
        is_planned = self._targets.failed(target, now)
        if not was_trial:
            self._undialled(address, code, reason, hint, is_final=not is_planned)
        if hint in _EXPLAINED:
            text = _EXPLAINED[hint].format(address=format_address(address), network=self._settings.network_id)
            self._actions.append(Report(kind=hint, text=text))
        expected = target.key.expected
        if expected is not None:
            self.on_failed(expected, now)
        if not is_planned and expected is not None:
            self.on_unreachable(expected, now)
            self._forget(expected)

    def _undialled(self, address: Address, code: Code, reason: str, hint: str = "", *, is_final: bool = True) -> None:
        self._actions.append(Undialled(address=address, code=code, reason=reason, hint=hint, is_final=is_final))

    def _forget(self, node_id: NodeId) -> None:
        peer = self._table.get(node_id)
        if peer is not None and not peer.is_met and not peer.links and not self._targets.of(node_id):
            self._table.remove(node_id)

    def _is_met(self, node_id: NodeId) -> bool:
        peer = self._table.get(node_id)
        return peer is not None and peer.is_met and self.is_confirmed(node_id)

    def _doubts(self, node_id: NodeId) -> int:
        peer = self._table.get(node_id)
        if peer is not None and peer.is_met:
            return 0
        return 1 if self.is_confirmed(node_id) else 2

    def _politeness(self, node_id: NodeId) -> Duration:
        base = 0 if self._settings.own_id < node_id else POLITENESS
        return base + round(POLITENESS * self._random.uniform(0.0, 0.2))

    def _anybody_at(self, address: Address) -> TargetKey:
        # Addresses from people name the UDP port, or the TCP port where this node has no UDP.
        return TargetKey(Carrier.UDP if self._settings.enable_udp else Carrier.TCP, address, None)
