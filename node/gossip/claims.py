"""What a node says it has: per author and epoch the highest number and the gaps below it: and what another lacks.

    row = [first 8 bytes of the author's key, epoch, highest, gaps]
    gaps = [first, last, first, last...] of missing numbers, or bytes: a bit per number, counted down from the highest

Numbers further below the highest than the window reaches count as there: nobody can tell them from replays any more.
Rows come from peers and are checked here; nothing in them is believed beyond what the peer itself wants to be told.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from node.errors import DecodeError
from node.gossip.store import Store
from node.gossip.window import OriginTable, SequenceWindow
from node.messages.packing import Value
from node.types import Instant, NodeId
from node.wire.limits import GAP_RANGES_MAX, SEQUENCE_WINDOW, VALUE_ITEMS_MAX

__all__ = ["PREFIX_BYTES", "Claims", "Page", "claims_of", "pages_of", "rows_of"]

PREFIX_BYTES = 8
_NUMBER_MAX = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Page:
    """Authors whose key begins with a prefix from `low` on and below `high`; an empty `high` has no end."""

    low: bytes
    high: bytes

    def __contains__(self, origin: bytes) -> bool:
        prefix = origin[:PREFIX_BYTES]
        return self.low <= prefix and (not self.high or prefix < self.high)


@dataclass(frozen=True, slots=True)
class _Claim:
    """One row. missing: a bit per missing number, counted down from `highest`."""

    highest: int
    missing: int

    def has(self, sequence: int) -> bool:
        return sequence <= self.highest and not self.missing >> self.highest - sequence & 1


class Claims:
    """The rows of one page of one peer. looked_at: authors and messages that `lacking` has compared with them."""

    def __init__(self, page: Page, claims: dict[tuple[bytes, int], _Claim]) -> None:
        self.looked_at = 0
        self._page = page
        self._claims = claims

    def lacking(self, store: Store, *, since: Instant, before: Instant, count: int, asker: bytes = b"") -> list[bytes]:
        """Ids of messages here that the peer lacks, oldest first per author.

        since: those that arrived here earlier are from before the peer's time, whatever clock their author has.
        before: those that arrived later are left to the mesh, which is probably about to bring them. count: at most so
        many. asker: the peer, who has no use for what it said itself.
        """
        found: list[bytes] = []
        for origin in store.origins():
            if origin not in self._page or origin == asker:
                continue
            self.looked_at += 1
            prefix = origin[:PREFIX_BYTES]
            if self._has_all(prefix, store.newest(origin)):
                continue
            for (epoch, sequence), message_id in store.of(origin).items():
                self.looked_at += 1
                claim = self._claims.get((prefix, epoch))
                if claim is not None and claim.has(sequence):
                    continue
                message = store.get(message_id)
                assert message is not None
                if since <= message.arrived_at <= before:
                    found.append(message_id)
                    if len(found) >= count:
                        return found
        return found

    def _has_all(self, prefix: bytes, newest: dict[int, int]) -> bool:
        """Whether the peer has every number up to these, by epoch: the common case, at a glance."""
        for epoch, highest in newest.items():
            claim = self._claims.get((prefix, epoch))
            if claim is None or claim.missing or claim.highest < highest:
                return False
        return True

    def exceed(self, table: OriginTable) -> bool:
        """Whether the peer has anything that is not in that table."""
        for (prefix, epoch), claim in self._claims.items():
            window = _window_of(table, prefix, epoch)
            if window is None or claim.highest > window.highest:
                return True
            lead = window.highest - claim.highest
            if window.missing() & ~(claim.missing << lead) & ~((1 << lead) - 1):
                return True
        return False


def pages_of(table: OriginTable, rows_max: int, pages_max: int) -> list[Page]:
    """The table cut into pages of at most that many authors, none left out, the last without an end."""
    prefixes = [origin[:PREFIX_BYTES] for origin in table.origins()]
    starts = prefixes[rows_max::rows_max][: pages_max - 1]
    return [Page(low, high) for low, high in zip([b"", *starts], [*starts, b""], strict=True)]


def rows_of(table: OriginTable, page: Page) -> list[Value]:
    """What this node has of the authors of that page."""
    rows: list[Value] = []
    for origin in table.origins():
        if origin in page:
            prefix = origin[:PREFIX_BYTES]
            rows.extend([prefix, window.epoch, window.highest, _gaps_of(window)] for window in table.windows(origin))
            if len(rows) >= VALUE_ITEMS_MAX:
                break
    return rows[:VALUE_ITEMS_MAX]


def claims_of(page: Page, rows: list[Value]) -> Claims:
    """The claims in these rows; DecodeError if one is wrong."""
    claims = {}
    for row in rows:
        match row:
            case [bytes(prefix), int(epoch), int(highest), list() | bytes() as gaps, *_]:
                if len(prefix) != PREFIX_BYTES or not 0 <= epoch <= _NUMBER_MAX or not 0 <= highest <= _NUMBER_MAX:
                    raise DecodeError("malformed", "a row of a sync is out of range")
                claims[(prefix, epoch)] = _Claim(highest, _missing_of(highest, gaps))
            case _:
                raise DecodeError("malformed", "a row of a sync of another shape")
    return Claims(page, claims)


def _window_of(table: OriginTable, prefix: bytes, epoch: int) -> SequenceWindow | None:
    origins = table.origins()
    place = bisect_left(origins, NodeId(prefix))
    if place == len(origins) or not origins[place].startswith(prefix):
        return None
    return next((window for window in table.windows(origins[place]) if window.epoch == epoch), None)


def _gaps_of(window: SequenceWindow) -> Value:
    missing = window.missing()
    ranges: list[Value] = []
    rest = missing
    while rest:
        if len(ranges) >= 2 * GAP_RANGES_MAX:
            return missing.to_bytes((missing.bit_length() + 7) // 8, "little")
        start = (rest & -rest).bit_length() - 1
        shifted = rest >> start
        length = (~shifted & (shifted + 1)).bit_length() - 1
        ranges += [window.highest - start - length + 1, window.highest - start]
        rest &= ~(((1 << length) - 1) << start)
    return ranges


def _missing_of(highest: int, gaps: list[Value] | bytes) -> int:
    if isinstance(gaps, bytes):
        if len(gaps) > SEQUENCE_WINDOW // 8:
            raise DecodeError("too_large", "a bit map of gaps")
        return int.from_bytes(gaps, "little")
    if len(gaps) % 2 or len(gaps) > 2 * GAP_RANGES_MAX:
        raise DecodeError("malformed", "gaps are pairs of numbers")
    missing = 0
    for first, last in zip(gaps[::2], gaps[1::2], strict=True):
        if not isinstance(first, int) or not isinstance(last, int):
            raise DecodeError("malformed", "a gap is two numbers")
        if not (highest - SEQUENCE_WINDOW < first <= last <= highest):
            raise DecodeError("malformed", "a gap outside the window")
        missing |= ((1 << last - first + 1) - 1) << highest - last
    return missing
