"""The door for strangers: screens INITs before anything costly, and says which of them may begin a handshake.

Knows no connections and no sockets: the endpoint says how many handshakes are under way, and sends the answers. Order
of the checks, cheapest first: size and layout, network tag, MAC; then the rates; a key agreement comes after all of
them. Nothing is remembered of an INIT that is turned away but one number per address.

The lower half of every budget is reserved for addresses that are validated: a sender of forged addresses can use up
the upper half only, after which the node is under load and asks for a cookie first (RFC 9000 §8.1.2, WireGuard §5.3).
"""

from __future__ import annotations

from enum import Enum, auto
from ipaddress import IPv6Address

from node.crypto.cookie import CookieJar, equal, init_key, mac, network_tag
from node.errors import DecodeError
from node.transport.settings import TransportSettings
from node.types import SECOND, Address, ConnectionId, Entropy, Instant
from node.wire.handshake import (
    INIT_MAC_BYTES,
    Init,
    RefusalReason,
    foreign_init,
    pack_refuse,
    pack_retry,
    parse_init,
)
from node.wire.limits import ADMISSION_ADDRESSES_MAX, COOKIE_SECRET_LIFETIME

__all__ = ["Admission", "HalfOpen", "HandshakeRates", "NetworkMismatch", "Verdict"]

_SOURCES_MIN = 4
"""Sources that it takes to use up all half-open handshakes: one that never finishes any must not keep others out."""


class Verdict(Enum):
    """What becomes of an INIT. RETRY: it may come again with a cookie. BUSY: not even then, for now."""

    ADMIT = auto()
    RETRY = auto()
    BUSY = auto()


class NetworkMismatch(DecodeError):
    """An INIT of another network; `init` is what it says."""

    def __init__(self, init: Init) -> None:
        super().__init__("network_mismatch", "an INIT of another network")
        self.init = init


class HalfOpen:
    """Handshakes of strangers that are under way: how many there are, in all and of each source."""

    __slots__ = ("_by_source", "_total")

    def __init__(self) -> None:
        self._by_source: dict[str, int] = {}
        self._total = 0

    def __len__(self) -> int:
        return self._total

    def of(self, address: Address) -> int:
        """Those of the source with that address."""
        return self._by_source.get(_source_of(address[0]), 0)

    def is_within(self, most: int, address: Address) -> bool:
        """Whether there are no more than that, and no more of the source with that address than it may have."""
        return self._total <= most and self.of(address) <= _share_of_one_source(most)

    def add(self, address: Address) -> None:
        """One more begins."""
        self._total += 1
        self._by_source[_source_of(address[0])] = self.of(address) + 1

    def remove(self, address: Address) -> None:
        """One has ended, well or not."""
        self._total -= 1
        left = self.of(address) - 1
        if left:
            self._by_source[_source_of(address[0])] = left
        else:
            del self._by_source[_source_of(address[0])]


class HandshakeRates:
    """Handshakes per second, in total and per address, kept as the instant until which a budget is used up (GCRA)."""

    def __init__(self, settings: TransportSettings) -> None:
        self._cost_per_address = SECOND // settings.handshake_rate_per_address
        self._cost_in_total = SECOND // settings.handshake_rate
        self._used_until: dict[str, Instant] = {}
        self._total_used_until: Instant = 0

    def __len__(self) -> int:
        """How many addresses are remembered."""
        return len(self._used_until)

    def may_begin(self, address: Address, now: Instant, *, is_validated: bool) -> bool:
        """Whether a handshake from there may begin now, and counts it if so; strangers have half of each budget."""
        budget = SECOND if is_validated else SECOND // 2
        source = _source_of(address[0])
        used_until = max(now, self._used_until.get(source, now)) + self._cost_per_address
        total_used_until = max(now, self._total_used_until) + self._cost_in_total
        if used_until - now > budget or total_used_until - now > budget:
            return False
        self._total_used_until = total_used_until
        self._used_until.pop(source, None)
        self._used_until[source] = used_until
        if len(self._used_until) > ADMISSION_ADDRESSES_MAX:
            del self._used_until[next(iter(self._used_until))]
        return True


class Admission:
    """See the module."""

    def __init__(self, settings: TransportSettings, entropy: Entropy) -> None:
        self.rates = HandshakeRates(settings)
        self._settings = settings
        self._init_key = init_key(settings.network_id)
        self._network_tag = network_tag(settings.network_id)
        self._jar = CookieJar(entropy(32), COOKIE_SECRET_LIFETIME)

    def screen(self, datagram: bytes) -> Init:
        """The INIT, undamaged and of this network; DecodeError, or NetworkMismatch, for any other."""
        init = parse_init(datagram)
        if not equal(init.clear.network_tag, self._network_tag):
            raise NetworkMismatch(init)
        if not equal(init.mac, mac(self._init_key, datagram[:-INIT_MAC_BYTES])):
            raise DecodeError("malformed", "INIT damaged on its way")
        return init

    def judge(self, init: Init, address: Address, half_open: HalfOpen, now: Instant) -> Verdict:
        """Whether that INIT may begin a handshake."""
        total, most, here = len(half_open), self._settings.half_open_max, half_open.of(address)
        if total >= most:
            return Verdict.BUSY
        share = _share_of_one_source(most)
        is_validated = bool(init.cookie) and self._jar.is_good(init.cookie, _purpose(init, address), now)
        has_room = here < share if is_validated else 2 * total < most and 2 * here < share
        if has_room and self.rates.may_begin(address, now, is_validated=is_validated):
            return Verdict.ADMIT
        return Verdict.BUSY if is_validated else Verdict.RETRY

    def retry(self, init: Init, address: Address, now: Instant) -> bytes:
        """The RETRY that answers an INIT."""
        return _with_tag(init.mac, pack_retry(init.clear.source, self._jar.bake(_purpose(init, address), now)))

    def refuse(self, init: Init, reason: RefusalReason) -> bytes:
        """The REFUSE that answers an INIT."""
        return _with_tag(init.mac, pack_refuse(init.clear.source, reason))

    def refuse_version(self, datagram: bytes) -> bytes | None:
        """The REFUSE that answers an INIT of another version; None where the datagram is no INIT."""
        foreign = foreign_init(datagram)
        if foreign is None:
            return None
        source, init_mac = foreign
        return _with_tag(init_mac, pack_refuse(ConnectionId(source), RefusalReason.VERSION_MISMATCH))


def _with_tag(init_mac: bytes, text: bytes) -> bytes:
    return text + mac(init_mac, text)


def _purpose(init: Init, address: Address) -> bytes:
    """What a cookie is good for: this Noise message, ephemeral key and all, from this very address."""
    return f"{address[0]} {address[1]} ".encode() + init.noise


def _source_of(host: str) -> str:
    """What is one sender for the limits: an IPv4 address, or the 64 bits that one IPv6 subscriber has to himself."""
    if ":" not in host:
        return host
    try:
        return IPv6Address(host.partition("%")[0]).exploded[:19]
    except ValueError:
        return host


def _share_of_one_source(half_open_max: int) -> int:
    """Half-open handshakes that one source may have."""
    return max(1, half_open_max // _SOURCES_MIN)
