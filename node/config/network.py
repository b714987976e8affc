"""`NetworkConfig`: everything an operator can choose about one node, complete and possible by construction.

Knows nothing of files, variables and flags (`sources.py`), except that the default data directory follows the
XDG base directory specification. All durations here are seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

from node.config.fields import FIELDS, PROFILES
from node.config.kinds import Secret, Unacceptable, format_address, parse_address
from node.errors import ConfigError
from node.types import Address, to_seconds
from node.wire.limits import HEADER_BYTES, KEEP_ALIVE_MIN, RETAINED_BYTES_MAX, TAG_BYTES

__all__ = ["KEY_FILE", "METRICS_PORT_OFFSET", "Conflict", "ConflictError", "NetworkConfig", "describe"]

METRICS_PORT_OFFSET = 576
"""metrics_port - port by default: 9464, the usual port of exporters like this one, for the default port 8888."""

KEY_FILE = "identity.key"
"""Name of the key file in the data directory."""

_VALUE_CHARACTERS_MAX = 80


@dataclass(frozen=True, slots=True)
class Conflict:
    """Values that are possible alone and impossible together.

    names: the fields concerned, the one to change first. text: the field, its value and what is allowed.
    """

    names: tuple[str, ...]
    text: str


class ConflictError(ConfigError):
    """Every field is possible by itself, some are not together."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__([conflict.text for conflict in conflicts])
        self.conflicts = tuple(conflicts)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Configuration of one node. `fields.py` holds range and meaning of each field; durations are seconds.

    Derived when not given: tcp_port (port + 1; 0 for port 0), metrics_port (port + 576; 0 for port 0; port - 576
    where the sum is no port), data_dir (`$XDG_STATE_HOME/positron/PORT`; memory only for port 0), min_rto (by
    profile), outbound_max and inbound_max (half of peers_max each). Two nodes that differ in `port` alone therefore
    share nothing.

    Memory: initial_window undelivered bytes per connection at most, beside the reassembly of large messages.
    Raises ConfigError with one line per mistake.
    """

    host: str = "0.0.0.0"  # noqa: S104 - a node is there to be reached; what it tells peers is advertise_host
    port: int = 8888
    tcp_port: int = None  # type: ignore[assignment]  # never None once built: __post_init__ derives it
    advertise_host: str = ""
    bootstrap_nodes: Sequence[str] = ()
    is_seed: bool = False
    network_id: str = "positron"
    name: str = ""
    data_dir: str = None  # type: ignore[assignment]  # derived
    profile: str = "default"
    enable_udp: bool = True
    enable_tcp: bool = True
    enable_http: bool = True
    metrics_host: str = "127.0.0.1"
    metrics_port: int = None  # type: ignore[assignment]  # derived
    api_token: str = field(default="", repr=False)
    api_token_file: str = ""
    api_hosts: Sequence[str] = ()
    metrics_peers: str = "full"
    chaos_control: bool = False
    mtu: int = 1400
    mss: int = 1400
    initial_window: int = 65535
    peers_max: int = 64
    outbound_max: int = None  # type: ignore[assignment]  # derived
    inbound_max: int = None  # type: ignore[assignment]  # derived
    max_connections: int = 1000
    min_rto: float = None  # type: ignore[assignment]  # derived
    max_rto: float = 60.0
    max_retries: int = 5
    segments_max: int = 40
    busy_poll: float = 0.0
    congestion: str = "lossfloor"
    connection_timeout: float = 60.0
    keep_alive: float = 0.0
    handshake_rate: int = 1000
    handshake_rate_per_address: int = 100
    heartbeat_interval: float = 0.5
    gossip_fanout: int = 8
    gossip_retention: float = 600.0
    gossip_retention_bytes: int = RETAINED_BYTES_MAX
    log_level: str = "INFO"
    log_format: str = "text"
    health_file: str = ""
    impairment_file: str = ""
    qlog_dir: str = ""
    qlog_dir_bytes_max: int = 64 << 20

    def __post_init__(self) -> None:
        problems = []
        for name, known in FIELDS.items():
            value = getattr(self, name)
            if value is None and name in _DERIVED:
                continue
            try:
                object.__setattr__(self, name, known.kind.check(value))
            except Unacceptable:
                problems.append(describe(name, value))
        if problems:
            raise ConfigError(problems)
        for name, derive in _DERIVED.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, derive(self))
        conflicts = list(_conflicts(self))
        if conflicts:
            raise ConflictError(conflicts)

    @property
    def bootstrap_addresses(self) -> tuple[Address, ...]:
        """The bootstrap nodes as (host, port); hosts may be names."""
        return tuple(parse_address(text) for text in self.bootstrap_nodes)

    @property
    def http_url(self) -> str:
        """Where a program on the same machine finds metrics, health and API."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.metrics_host, self.metrics_host)  # noqa: S104
        return "http://" + format_address((host, self.metrics_port))


def describe(name: str, value: object) -> str:
    """One line that names the field, the value and what is allowed."""
    text = "***" if isinstance(FIELDS[name].kind, Secret) else repr(value)
    if len(text) > _VALUE_CHARACTERS_MAX:
        text = text[:_VALUE_CHARACTERS_MAX] + "..."
    return f"{name} = {text}: allowed is {FIELDS[name].kind.allowed}"


def derived_from(name: str) -> str:
    """The field that decides the default of this one, or "" for a constant default."""
    return _DERIVED_FROM.get(name, "")


def _tcp_port(config: NetworkConfig) -> int:
    return config.port + 1 if config.port else 0


def _metrics_port(config: NetworkConfig) -> int:
    if not config.port:
        return 0
    above = config.port + METRICS_PORT_OFFSET
    return above if above <= 65535 else config.port - METRICS_PORT_OFFSET


def _data_dir(config: NetworkConfig) -> str:
    if not config.port:
        return ""
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # the specification says to ignore a relative one
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "positron", str(config.port))


def _min_rto(config: NetworkConfig) -> float:
    return PROFILES[config.profile]["min_rto"]


def _outbound_max(config: NetworkConfig) -> int:
    return config.peers_max // 2


def _inbound_max(config: NetworkConfig) -> int:
    return config.peers_max - config.peers_max // 2


_DERIVED = {
    "tcp_port": _tcp_port,
    "metrics_port": _metrics_port,
    "data_dir": _data_dir,
    "min_rto": _min_rto,
    "outbound_max": _outbound_max,
    "inbound_max": _inbound_max,
}
_DERIVED_FROM = {
    "tcp_port": "port",
    "metrics_port": "port",
    "data_dir": "port",
    "min_rto": "profile",
    "outbound_max": "peers_max",
    "inbound_max": "peers_max",
}


def _conflicts(config: NetworkConfig) -> Iterator[Conflict]:
    """The rules between fields."""
    if not config.enable_udp and not config.enable_tcp:
        yield Conflict(
            ("enable_udp", "enable_tcp"), "enable_udp = False: allowed is true, because enable_tcp is false too"
        )
    if config.tcp_port > 65535:
        yield Conflict(("port", "tcp_port"), f"port = {config.port}: allowed is at most 65534, or an explicit tcp_port")
    if config.min_rto > config.max_rto:
        yield Conflict(
            ("min_rto", "max_rto"), f"min_rto = {config.min_rto:g}: allowed is at most max_rto = {config.max_rto:g}"
        )
    window_min = 2 * min(config.mss, config.mtu - HEADER_BYTES - TAG_BYTES)
    if config.initial_window < window_min:
        yield Conflict(
            ("initial_window", "mss", "mtu"),
            f"initial_window = {config.initial_window}: allowed is {window_min} and more, two packets",
        )
    yield from _conflicts_of_links(config)
    if 0 < config.keep_alive < to_seconds(KEEP_ALIVE_MIN):
        yield Conflict(("keep_alive",), f"keep_alive = {config.keep_alive:g}: allowed is 0, or 0.01 and more")
    if config.keep_alive >= config.connection_timeout:
        yield Conflict(
            ("keep_alive", "connection_timeout"),
            f"keep_alive = {config.keep_alive:g}: allowed is less than connection_timeout = "
            f"{config.connection_timeout:g}, or it comes too late",
        )
    if config.connection_timeout < 2 * config.heartbeat_interval:
        yield Conflict(
            ("connection_timeout", "heartbeat_interval"),
            f"connection_timeout = {config.connection_timeout:g}: allowed is twice heartbeat_interval = "
            f"{config.heartbeat_interval:g} and more, or idle connections would not live",
        )
    if config.api_token and config.api_token_file:
        yield Conflict(("api_token", "api_token_file"), "api_token_file is given: allowed is one of it and api_token")
    if config.enable_http and config.enable_tcp and config.metrics_port == config.tcp_port != 0:
        yield Conflict(
            ("metrics_port", "tcp_port"), f"metrics_port = {config.metrics_port}: allowed is any port but tcp_port"
        )


def _conflicts_of_links(config: NetworkConfig) -> Iterator[Conflict]:
    if config.outbound_max > config.peers_max:
        yield Conflict(
            ("outbound_max", "peers_max"),
            f"outbound_max = {config.outbound_max}: allowed is at most peers_max = {config.peers_max}",
        )
    if config.inbound_max >= config.peers_max:
        yield Conflict(
            ("inbound_max", "peers_max"),
            f"inbound_max = {config.inbound_max}: allowed is less than peers_max = {config.peers_max}, "
            "or strangers could use up every link",
        )


assert [known.name for known in fields(NetworkConfig)] == list(FIELDS), "the table and the class name other fields"
