"""The table of configuration fields: kind, unit, range and meaning of each; the one place where a range is written.

Knows nothing of sources. `network.py` checks its values against it, `sources.py` finds names in it, the command line
makes its flags of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.config.kinds import (
    Addresses,
    Choice,
    FilePath,
    Host,
    Hosts,
    Integer,
    Kind,
    Number,
    PublicAddress,
    Secret,
    Switch,
    Text,
)
from node.transport.congestion import CONTROLLERS
from node.types import to_seconds
from node.wire.limits import (
    BUSY_POLL_MAX,
    INITIAL_WINDOW_MAX,
    MESSAGE_BYTES_MAX,
    MSS_MIN,
    MTU_MAX,
    MTU_MIN,
    SEGMENTS_MAX,
)

__all__ = ["BOOTSTRAP_NODES_MAX", "ENVIRONMENT_PREFIX", "FIELDS", "LOG_LEVELS", "PROFILES", "Field"]

ENVIRONMENT_PREFIX = "POSITRON_"

BOOTSTRAP_NODES_MAX = 64
"""Each is dialled for ever; more than a few add nothing but traffic."""

PEERS_MAX = 1024
"""Links beyond this are of no use to gossip, whose mesh has a dozen."""

RETENTION_BYTES_MIN = 4 * MESSAGE_BYTES_MAX
"""Large bodies are told and asked for: what is kept must hold some of them."""

RETENTION_BYTES_MAX = 4 << 30

API_HOSTS_MAX = 64
"""More names than a machine has."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

PROFILES: dict[str, dict[str, float]] = {
    "default": {"min_rto": 1.0},
    # A container link has a round trip of a fraction of a millisecond: with a floor of one second the effective
    # retransmission timeout would be a flat line and hide what the network does.
    "testnet": {"min_rto": 0.025},
}
"""Defaults that a profile moves; everything else stays."""

_PORT = Integer(0, 65535)
_NAME = "letters, digits, dot, underscore and hyphen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. help: what it does, with its unit, as one line. derived: how its default follows from others."""

    name: str
    kind: Kind
    help: str
    derived: str = ""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The flag that sets it."""
        return "--" + self.name.replace("_", "-")


_TABLE = (
    Field(name="host", kind=Host(), help="address to listen on, UDP and TCP"),
    Field(name="port", kind=_PORT, help="UDP port; 0 lets the system choose"),
    Field(name="tcp_port", kind=_PORT, help="TCP port", derived="port + 1"),
    Field(
        name="advertise_host",
        kind=PublicAddress(),
        help="address that peers are told; empty: they use the one they see",
    ),
    Field(name="bootstrap_nodes", kind=Addresses(BOOTSTRAP_NODES_MAX), help="nodes to dial until they answer"),
    Field(name="is_seed", kind=Switch(), help="ready without a peer, because others start from this node"),
    Field(
        name="network_id",
        kind=Text(r"[A-Za-z0-9._-]{1,64}", f"1 to 64 {_NAME}"),
        help="name of the network; nodes of different networks refuse each other",
    ),
    Field(
        name="name",
        kind=Text(r"[A-Za-z0-9._-]{0,64}", f"at most 64 {_NAME}"),
        help="name in logs and metrics; empty: node- and 8 digits of its key",
    ),
    Field(
        name="data_dir",
        kind=FilePath("to keep the key in memory only"),
        help="directory of the key and of what the node remembers across restarts",
        derived="$XDG_STATE_HOME/positron/PORT",
    ),
    Field(
        name="profile",
        kind=Choice(tuple(PROFILES)),
        help="set of defaults; testnet lowers min_rto to 0.025 seconds, for links inside one machine",
    ),
    Field(name="enable_udp", kind=Switch(), help="use UDP; without it bootstrap_nodes name TCP ports"),
    Field(name="enable_tcp", kind=Switch(), help="use TCP"),
    Field(name="enable_http", kind=Switch(), help="serve metrics, health and API over HTTP"),
    Field(name="metrics_host", kind=Host(), help="address of metrics, health and API"),
    Field(name="metrics_port", kind=_PORT, help="port of metrics, health and API", derived="port + 576"),
    Field(
        name="api_token",
        kind=Secret(r"[\x21-\x7e]{0,512}", "at most 512 visible ASCII characters, or empty for none"),
        help="bearer token that metrics and API ask for; api_token_file keeps it out of listings of processes",
    ),
    Field(
        name="api_token_file",
        kind=FilePath("for none"),
        help="file with the bearer token that metrics and API ask for",
    ),
    Field(
        name="api_hosts",
        kind=Hosts(API_HOSTS_MAX),
        help="names with a dot under which metrics and API may be asked; addresses and short names always may",
    ),
    Field(
        name="metrics_peers",
        kind=Text(r"full|off|top:([1-9][0-9]?|1[01][0-9]|12[0-8])", "full, off, or top:K for a K from 1 to 128"),
        help="links that get series of their own: the K oldest, none, or as many as there may be, which is 128",
    ),
    Field(
        name="chaos_control",
        kind=Switch(),
        help="let the API impair this node's links and measure them; for testnets only",
    ),
    Field(name="mtu", kind=Integer(MTU_MIN, MTU_MAX), help="largest UDP payload sent, headers included, in bytes"),
    Field(name="mss", kind=Integer(MSS_MIN, MTU_MAX), help="most bytes of frames in one packet"),
    Field(
        name="initial_window",
        kind=Integer(512, INITIAL_WINDOW_MAX),
        help="receive window of a connection, and of each of its channels, in bytes",
    ),
    Field(name="peers_max", kind=Integer(2, PEERS_MAX), help="links with other nodes that are kept"),
    Field(
        name="outbound_max",
        kind=Integer(1, PEERS_MAX),
        help="links among them that this node makes by its own choice",
        derived="half of peers_max",
    ),
    Field(
        name="inbound_max",
        kind=Integer(1, PEERS_MAX),
        help="links among them that others made; less than peers_max, so that they never use up all of it",
        derived="the other half",
    ),
    Field(name="max_connections", kind=Integer(1, 100_000), help="connections at once, per transport"),
    Field(
        name="min_rto",
        kind=Number(0.001, 3600.0, "seconds"),
        help="least retransmission timeout, in seconds",
        derived="1.0; 0.025 in profile testnet",
    ),
    Field(name="max_rto", kind=Number(0.001, 3600.0, "seconds"), help="greatest retransmission timeout, in seconds"),
    Field(name="max_retries", kind=Integer(0, 100), help="timeouts in a row before a connection fails"),
    Field(
        name="segments_max",
        kind=Integer(1, SEGMENTS_MAX),
        help="most packets handed to the kernel in one call (UDP_SEGMENT); 1 while an impairment is active",
    ),
    Field(
        name="busy_poll",
        kind=Number(0.0, to_seconds(BUSY_POLL_MAX), "seconds"),
        help="time for which the node asks for packets instead of sleeping after each one, in seconds: answers come "
        "sooner, and a processor is busy meanwhile",
    ),
    Field(
        name="congestion",
        kind=Choice(CONTROLLERS),
        help="congestion controller; lossfloor fills links that lose packets at random",
    ),
    Field(
        name="connection_timeout",
        kind=Number(1.0, 3600.0, "seconds"),
        help="silence after which a connection is closed, in seconds",
    ),
    Field(
        name="keep_alive",
        kind=Number(0.0, 3600.0, "seconds"),
        help="silence after which a connection asks for a sign of life, in seconds; 0: never, as heartbeats do it",
    ),
    Field(
        name="handshake_rate",
        kind=Integer(1, 1_000_000),
        help="handshakes admitted per second, per transport; half of them is for addresses that are validated",
    ),
    Field(
        name="handshake_rate_per_address",
        kind=Integer(1, 1_000_000),
        help="the same per address; for IPv6 per network of 64 bits",
    ),
    Field(name="heartbeat_interval", kind=Number(0.1, 60.0, "seconds"), help="time between heartbeats, in seconds"),
    Field(
        name="gossip_fanout", kind=Integer(1, 64), help="peers in the mesh, to which a node passes on every broadcast"
    ),
    Field(
        name="gossip_retention",
        kind=Number(1.0, 86400.0, "seconds"),
        help="time that messages are kept for nodes that missed them, in seconds; longer partitions lose some",
    ),
    Field(
        name="gossip_retention_bytes",
        kind=Integer(RETENTION_BYTES_MIN, RETENTION_BYTES_MAX),
        help="memory for messages that are kept, in bytes; the oldest go first",
    ),
    Field(name="log_level", kind=Choice(LOG_LEVELS, str.upper), help="least level that is logged"),
    Field(name="log_format", kind=Choice(("text", "json")), help="one line of text or of JSON per log record"),
    Field(
        name="health_file",
        kind=FilePath("for none"),
        help="file touched each second while the node is ready; empty: none",
    ),
    Field(
        name="impairment_file",
        kind=FilePath("for none"),
        help="JSON file that says which impairment is configured on this node's network; shown as metrics",
    ),
    Field(
        name="qlog_dir",
        kind=FilePath("for none"),
        help="directory for traces of UDP connections, one file each, as qlog that qvis reads",
    ),
    Field(
        name="qlog_dir_bytes_max",
        kind=Integer(1 << 20, 1 << 40),
        help="most bytes of this node's files there; the oldest complete ones make room, and without any tracing ends",
    ),
)

FIELDS: dict[str, Field] = {field.name: field for field in _TABLE}
