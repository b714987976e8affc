"""Trust: an order among nodes, from what this one has seen and, within bounds, from what others say.

    score = own evidence                                    where there is any against the node, less what others doubt
          = own evidence + praise, at most PRAISE_MAX       otherwise; own evidence alone may be higher

Praise lifts nobody past the threshold of trust, and doubt lowers nobody of whom this node has seen nothing bad. A score
orders choices (whom to dial, keep, name to others and serve first); it never decides whether a signed message is valid.

    frame = [TRUST_UPDATE, body, signature]                      a statement of the peer that sends it
            [TRUSTED_PEERS_REQUEST, after]                       which statements do you know, from that key on
            [TRUSTED_PEERS_RESPONSE, next, [[body, signature]]]  one page; next is empty on the last one

Knows nothing of connections. Input comes from the node machine; output are actions.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES, Identity
from node.messages.envelope import (
    Envelope,
    Sealer,
    check_network,
    check_signature,
    parse_envelope,
    signing_domain,
)
from node.messages.equivocation import Equivocation, parse_equivocation
from node.messages.packing import Value
from node.messages.types import MessageType
from node.trust.actions import Action, Ban, Say
from node.trust.allowance import Allowance
from node.trust.evidence import Evidence, kind_of
from node.trust.settings import TrustSettings
from node.trust.statements import Statement, StatementTable, parse_statement, statement_payload
from node.trust.stats import BANDS, TrustStats
from node.trust.walk import Opinion, walk
from node.types import MILLISECOND, SECOND, Duration, Instant, NodeId, Random
from node.wire.limits import (
    PROOFS_MAX,
    STATEMENT_INTERVAL,
    STATEMENT_LIFE,
    STATEMENT_PAGES_MAX,
    STATEMENTS_PER_MESSAGE_MAX,
    STATEMENTS_PER_TICK_MAX,
)

__all__ = ["PRAISE_MAX", "TRUSTED", "Trust", "TrustEntry", "TrustOverview"]

TRUSTED = 0.6
"""Score from which a node is trusted; own evidence only leads there."""

PRAISE_MAX = 0.5
"""Score to which the word of others lifts at most."""

KNOWN, DOUBTFUL = 0.2, -0.2
"""Limits of the bands between."""

STATED_MIN = 0.1
"""Scores nearer to 0 are not worth a statement, and neither are smaller changes of one."""

AUDIENCE_MAX = 8
"""Peers that a statement is sent to; the others learn of it by asking."""

WALK_INTERVAL: Duration = 1 * SECOND
"""Time between two walks, whatever changes."""

QUESTION_INTERVAL: Duration = 100 * MILLISECOND
"""A peer that asks for lists more often than this is not answered; the next page of one is asked for that long after
the last one came."""

_BLAMELESS = ("stale", "future", "own_origin", "equivocating", "unexpected")
"""Refusals that honest peers cause too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustEntry:
    """One node as trust sees it now. score, own: -1 to 1. praise, doubt: what others say. banned_until: or None."""

    node_id: NodeId
    score: float
    own: float
    praise: float
    doubt: float
    band: str
    first_deliveries: int
    penalties: dict[str, int]
    banned_until: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustOverview:
    """Trust at one instant. bands: nodes of each band, among those that anything is known of."""

    stats: TrustStats
    bands: dict[str, int]
    entries: tuple[TrustEntry, ...]

    @classmethod
    def blank(cls) -> TrustOverview:
        """What there is to say before anything happened."""
        return cls(stats=TrustStats(), bands=dict.fromkeys(BANDS, 0), entries=())


class Trust:
    """The trust service of one node. After each call, drain `poll_action`."""

    def __init__(self, identity: Identity, settings: TrustSettings, *, random: Random) -> None:
        self.stats = TrustStats()
        self._own_id = identity.public_key
        self._settings = settings
        self._random = random
        self._sealer = Sealer(identity, network_id=settings.network_id, epoch=settings.epoch)
        self._domain = signing_domain(settings.network_id)
        self._peers: dict[NodeId, None] = {}
        self._evidence = Evidence(self._peers)
        self._statements = StatementTable()
        self._proofs: dict[NodeId, bytes] = {}
        self._allowance = Allowance()
        self._asked_at: dict[NodeId, Instant] = {}
        self._pages_expected: dict[NodeId, int] = {}
        self._further: dict[NodeId, tuple[Instant, bytes, int]] = {}
        """Next pages of lists: when to ask for it, behind which key, and how many are expected from there on."""
        self._actions: deque[Action] = deque()
        self._opinion = Opinion()
        self._walked_at: Instant | None = None
        self._has_news = False
        self._now: Instant = 0
        self._tick_at: Instant | None = None

    # --- what the node sees -------------------------------------------------------------------------------------

    def start(self, now: Instant) -> None:
        """Begins to state and to ask."""
        self._now = now
        self._tick_at = self._next_tick(now)

    def peer_up(self, peer: NodeId) -> None:
        """An active peer is there."""
        self._peers[peer] = None

    def peer_down(self, peer: NodeId) -> None:
        """An active peer is gone; what is known of it stays."""
        for table in (self._peers, self._asked_at, self._pages_expected, self._further):
            table.pop(peer, None)

    def delivered(self, peer: NodeId, origin: NodeId, now: Instant) -> None:
        """That peer was the first to bring a valid message; what it wrote itself is no merit."""
        self._now = now
        if peer not in (origin, self._own_id):
            self.stats.credits += self._evidence.credit(peer, now)
            self._has_news = True

    def blame(self, peer: NodeId, reason: str, now: Instant) -> None:
        """That connected peer sent what no honest peer sends. reason: as refused, or `protocol_violation`."""
        self._penalise(peer, kind_of(reason), now)

    def accuse(self, evidence: Equivocation, now: Instant) -> None:
        """An author is proved to have signed two messages with one number; one proof of each is kept.

        The same pair comes many ways, and is too old to come again once the ban for it is over.
        """
        if evidence.origin == self._own_id:
            return
        if evidence.origin in self._proofs and self._evidence.is_banned(evidence.origin, now):
            return
        packed = evidence.packed()
        if packed is not None:
            self._proofs[evidence.origin] = packed
            if len(self._proofs) > PROOFS_MAX:
                del self._proofs[next(iter(self._proofs))]
        self._penalise(evidence.origin, "equivocation", now)

    def _penalise(self, node_id: NodeId, kind: str, now: Instant) -> None:
        self._now = now
        if node_id == self._own_id:
            return
        self.stats.penalties[kind] += 1
        self._has_news = True
        if self._evidence.penalise(node_id, kind, now):
            self.stats.bans += 1
            self._actions.append(Ban(peer=node_id, reason=kind))

    # --- frames -------------------------------------------------------------------------------------------------

    def receive(self, peer: NodeId, kind: MessageType, fields: list[Value], now: Instant) -> str | None:
        """A frame of the three kinds that belong here; never raises for any fields.

        Returns the reason to blame the peer for, if there is one.
        """
        self._now = now
        try:
            self._receive(peer, kind, fields, now)
        except DecodeError as error:
            self.stats.rejected[error.reason] += 1
            return None if error.reason in _BLAMELESS else error.reason
        return None

    def _receive(self, peer: NodeId, kind: MessageType, fields: list[Value], now: Instant) -> None:
        match kind, fields:
            case MessageType.TRUST_UPDATE, [bytes(body), bytes(signature), *_]:
                envelope = parse_envelope(body, signature)
                if envelope.origin != peer:
                    raise DecodeError("wrong_origin")
                self._take(envelope, peer, now)
            case MessageType.TRUSTED_PEERS_REQUEST, [bytes(after), *_] if len(after) <= 2 * NODE_ID_BYTES:
                self._answer(peer, after, now)
            case MessageType.TRUSTED_PEERS_RESPONSE, [bytes(following), list(listed), *_]:
                self._receive_page(peer, following, listed, now)
            case _:
                raise DecodeError("malformed", f"a frame of trust of another shape: {kind.name}")

    def _take(self, envelope: Envelope, source: NodeId, now: Instant) -> None:
        """Takes in a statement that `source` brought, whoever issued it."""
        check_network(envelope, self._domain)
        if envelope.origin == self._own_id:
            raise DecodeError("own_origin")
        statement = parse_statement(envelope, now + self._settings.wall_offset)
        if statement.subject == self._own_id:
            return
        known = self._statements.get(statement.key)
        if known is not None and known.order >= statement.order:
            self._check_again(known, statement, source, now)
            self.stats.statements_repeated += 1
            return
        is_too_soon = known is not None and StatementTable.is_too_soon(known, statement)
        if is_too_soon or not self._allowance.take(source, now):
            self.stats.statements_limited += 1
            return
        check_signature(envelope, self._domain, source)
        self._statements.add(statement, source)
        self.stats.statements_accepted += 1
        self._has_news = True

    def _check_again(self, known: Statement, later: Statement, source: NodeId, now: Instant) -> None:
        """Another statement with the number of a known one is evidence, if its author signed it."""
        if known.order == later.order and known.envelope.body != later.envelope.body:
            check_signature(later.envelope, self._domain, source)
            self.accuse(Equivocation(known.envelope, later.envelope), now)
            raise DecodeError("equivocating")

    def _answer(self, peer: NodeId, after: bytes, now: Instant) -> None:
        asked_at = self._asked_at.get(peer)
        if peer not in self._peers or (asked_at is not None and now - asked_at < QUESTION_INTERVAL):
            raise DecodeError("unexpected", "questions too close together")
        self._asked_at[peer] = now
        page = self._statements.page(after, STATEMENTS_PER_MESSAGE_MAX)
        following = b"".join(page[-1].key) if len(page) == STATEMENTS_PER_MESSAGE_MAX else b""
        listed: list[Value] = [[statement.envelope.body, statement.envelope.signature] for statement in page]
        self.stats.lists_served += 1
        self._actions.append(Say(peers=(peer,), kind=MessageType.TRUSTED_PEERS_RESPONSE, fields=(following, listed)))

    def _receive_page(self, peer: NodeId, following: bytes, listed: list[Value], now: Instant) -> None:
        expected = self._pages_expected.pop(peer, 0)
        if not expected:
            raise DecodeError("unexpected", "a list that was not asked for")
        if len(listed) > STATEMENTS_PER_MESSAGE_MAX or len(following) not in (0, 2 * NODE_ID_BYTES):
            raise DecodeError("too_large", f"a page of {len(listed)} statements")
        envelopes = []
        for item in listed:
            match item:
                case [bytes(body), bytes(signature), *_]:
                    envelopes.append(parse_envelope(body, signature))
                case _:
                    raise DecodeError("malformed", "a listed statement is body and signature")
        for envelope in envelopes:
            try:
                self._take(envelope, peer, now)
            except DecodeError as error:
                if error.reason not in _BLAMELESS:
                    raise
                self.stats.rejected[error.reason] += 1
        if following and expected > 1:
            self._further[peer] = now + QUESTION_INTERVAL, following, expected - 1

    def _ask(self, peer: NodeId, after: bytes, pages: int) -> None:
        self._pages_expected[peer] = pages
        self._actions.append(Say(peers=(peer,), kind=MessageType.TRUSTED_PEERS_REQUEST, fields=(after,)))

    # --- time ---------------------------------------------------------------------------------------------------

    def handle_timeout(self, now: Instant) -> None:
        """States what has changed, asks somebody, and lets go of what is over."""
        self._now = now
        for peer, (due, after, pages) in list(self._further.items()):
            if due <= now:
                del self._further[peer]
                self._ask(peer, after, pages)
        if self._tick_at is None or now < self._tick_at:
            return
        self._tick_at = self._next_tick(now)
        self._evidence.expire(now)
        self._statements.expire(now + self._settings.wall_offset)
        self._has_news = True
        left = STATEMENTS_PER_TICK_MAX
        for node_id, record in list(self._evidence):
            if left and abs(record.score(now)) >= STATED_MIN:
                left -= self._state(node_id, record.score(now), now)
        if self._peers:
            self._ask(self._random.sample(list(self._peers), 1)[0], b"", STATEMENT_PAGES_MAX)

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` is due."""
        earliest = self._tick_at
        for due, _, _ in self._further.values():
            if earliest is None or due < earliest:
                earliest = due
        return earliest

    def poll_action(self) -> Action | None:
        """The next thing to do, oldest first."""
        return self._actions.popleft() if self._actions else None

    def _next_tick(self, now: Instant) -> Instant:
        return now + round(STATEMENT_INTERVAL * self._random.uniform(1.0, 1.2))

    def _state(self, subject: NodeId, score: float, now: Instant) -> bool:
        """Signs what this node thinks of that one, unless it said nearly the same not long ago; whether it did."""
        wall = now + self._settings.wall_offset
        known = self._statements.get((self._own_id, subject))
        if known is not None:
            is_old = known.expires_at - wall < STATEMENT_LIFE // 2
            if abs(score - known.score) < STATED_MIN and not is_old:
                return False
        payload = statement_payload(subject, score, wall + STATEMENT_LIFE)
        envelope = self._sealer.seal(MessageType.TRUST_UPDATE, payload, wall)
        self._statements.add(parse_statement(envelope, wall), self._own_id)
        peers = list(self._peers)
        audience = self._random.sample(peers, min(AUDIENCE_MAX, len(peers)))
        if audience:
            self.stats.statements_sent += len(audience)
            fields = (envelope.body, envelope.signature)
            self._actions.append(Say(peers=tuple(audience), kind=MessageType.TRUST_UPDATE, fields=fields))
        return True

    # --- answers ------------------------------------------------------------------------------------------------

    def set_wall_offset(self, offset: Duration) -> None:
        """The wall clock of this node was set: it is so far from the clock of `now` from now on."""
        self._settings = replace(self._settings, wall_offset=offset)

    def rank(self, node_id: NodeId) -> float:
        """-1 to 1, 0 for a stranger: the higher, the better a choice it is."""
        self._walk()
        return self._score(node_id)

    def is_banned(self, node_id: NodeId, now: Instant) -> bool:
        """Whether this node wants no connection with that one."""
        return self._evidence.is_banned(node_id, now)

    def is_shunned(self, node_id: NodeId) -> bool:
        """As `is_banned`, as of the last thing that happened here."""
        return self._evidence.is_banned(node_id, self._now)

    def _score(self, node_id: NodeId) -> float:
        record = self._evidence.get(node_id)
        own, bad = (record.score(self._now), record.balance(self._now)[1]) if record is not None else (0.0, 0.0)
        if own < 0:
            # What others say against it makes its own misdeeds count twice at most, and is nothing without them.
            return max(-1.0, own - min(self._opinion.doubt.get(node_id, 0.0), bad))
        return max(own, min(own + self._opinion.praise.get(node_id, 0.0), PRAISE_MAX))

    def _walk(self) -> None:
        """Weighs the word of others anew, if anything changed and the last time was not just now."""
        if not self._has_news or (self._walked_at is not None and self._now - self._walked_at < WALK_INTERVAL):
            return
        self._has_news, self._walked_at = False, self._now
        own = {node_id: record.score(self._now) for node_id, record in self._evidence}
        said = {
            issuer: [(statement.subject, statement.score) for statement in self._statements.said_by(issuer)]
            for issuer in self._statements.issuers()
            if issuer != self._own_id
        }
        blocked = {node_id: None for node_id, score in own.items() if score < 0}
        self._opinion = walk(own.items(), said, blocked=blocked)

    def overview(self, now: Instant) -> TrustOverview:
        """Everything that people may want to see."""
        self._now = now
        self._walk()
        named = dict.fromkeys(self._peers)
        named.update(dict.fromkeys(node_id for node_id, _ in self._evidence))
        named.update(dict.fromkeys(self._opinion.praise))
        named.pop(self._own_id, None)
        entries = tuple(self._entry(node_id, now) for node_id in named)
        bands = dict.fromkeys(BANDS, 0)
        for entry in entries:
            bands[entry.band] += 1
        self.stats.statements, self.stats.records = len(self._statements), len(self._evidence)
        self.stats.bans_active = bands["banned"]
        return TrustOverview(stats=self.stats, bands=bands, entries=entries)

    def _entry(self, node_id: NodeId, now: Instant) -> TrustEntry:
        record = self._evidence.get(node_id)
        is_banned = self.is_banned(node_id, now)
        score = self._score(node_id)
        return TrustEntry(
            node_id=node_id,
            score=score,
            own=record.score(now) if record is not None else 0.0,
            praise=self._opinion.praise.get(node_id, 0.0),
            doubt=self._opinion.doubt.get(node_id, 0.0),
            band="banned" if is_banned else band_of(score),
            first_deliveries=record.first_deliveries if record is not None else 0,
            penalties=dict(record.penalties) if record is not None else {},
            banned_until=record.banned_until if record is not None and is_banned else None,
        )

    # --- what is kept -------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, list[Value]]:
        """Evidence with bans, statements, and proofs, as plain data in rows."""
        kept = self._statements.rows()
        return {
            "evidence": self.evidence_rows(),
            "statements": [[item.envelope.body, item.envelope.signature, source] for item, source in kept],
            "proofs": list(self._proofs.values()),
        }

    def evidence_rows(self) -> list[Value]:
        """The part of `snapshot` with the bans."""
        return self._evidence.snapshot(self._settings.wall_offset)

    def restore(self, rows: dict[str, list[Value]], now: Instant) -> int:
        """Takes up what `snapshot` of an earlier life told; the number of rows that were of no use.

        Statements and proofs are verified again: a file is no better than a peer.
        """
        self._now = now
        useless = 0
        for name, restore in (
            ("evidence", self._restore_evidence),
            ("statements", self._restore_statement),
            ("proofs", self._restore_proof),
        ):
            for row in rows.get(name, ()):
                try:
                    restore(row, now)
                except DecodeError:
                    useless += 1
        self._has_news = True
        return useless

    def _restore_evidence(self, row: Value, now: Instant) -> None:
        self._evidence.restore(row, now, self._settings.wall_offset)

    def _restore_statement(self, row: Value, now: Instant) -> None:
        match row:
            case [bytes(body), bytes(signature), bytes(source), *_] if len(source) == NODE_ID_BYTES:
                envelope = parse_envelope(body, signature)
            case _:
                raise DecodeError("malformed", "a kept statement is body, signature and who brought it")
        check_signature(envelope, self._domain, envelope.origin)
        statement = parse_statement(envelope, now + self._settings.wall_offset)
        self._statements.add(statement, NodeId(source))

    def _restore_proof(self, row: Value, now: Instant) -> None:
        if not isinstance(row, bytes):
            raise DecodeError("malformed", "a proof is bytes")
        proof = parse_equivocation(row, self._domain)
        self._proofs[proof.origin] = row
        if len(self._proofs) > PROOFS_MAX:
            del self._proofs[next(iter(self._proofs))]


def band_of(score: float) -> str:
    """The word for a score of a node that is not banned."""
    if score >= TRUSTED:
        return "trusted"
    if score >= KNOWN:
        return "known"
    return "doubtful" if score <= DOUBTFUL else "neutral"
