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

__all__ = ["Admission", "HandshakeRates", "NetworkMismatch", "Verdict"]


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
        prefix = _prefix_of(address[0])
        used_until = max(now, self._used_until.get(prefix, now)) + self._cost_per_address
        total_used_until = max(now, self._total_used_until) + self._cost_in_total
        if used_until - now > budget or total_used_until - now > budget:
            return False
        self._total_used_until = total_used_until
        self._used_until.pop(prefix, None)
        self._used_until[prefix] = used_until
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

    def judge(self, init: Init, address: Address, half_open: int, now: Instant) -> Verdict:
        """Whether that INIT may begin a handshake. half_open: handshakes of strangers that are under way."""
        if half_open >= self._settings.half_open_max:
            return Verdict.BUSY
        is_validated = bool(init.cookie) and self._jar.is_good(init.cookie, _purpose(init, address), now)
        has_room = is_validated or 2 * half_open < self._settings.half_open_max
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


def _prefix_of(host: str) -> str:
    """What is one sender for the rates: an IPv4 address, or the 64 bits that one IPv6 subscriber has to himself."""
    if ":" not in host:
        return host
    try:
        return IPv6Address(host.partition("%")[0]).exploded[:19]
    except ValueError:
        return host
