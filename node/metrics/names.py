"""The catalogue: every metric of a node, declared once, with type, unit, help and the closed set of its label values.

Knows nothing of where values come from. The collector refuses a name that is not here; documents, boards and tests are
made from this table. Names follow the Prometheus conventions: base units, unit last, `_total` on counters only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from node.gossip.stats import AGE_BOUNDS, REPAIR_PATHS
from node.messages.types import REJECTION_REASONS, Carrier, MessageType
from node.peers.members import MemberState
from node.transport.stats import (
    DROP_REASONS,
    LOSS_TRIGGERS,
    REFUSAL_REASONS,
    RETRANSMISSION_CAUSES,
    RTT_BOUNDS,
)
from node.trust.evidence import PENALTIES
from node.trust.stats import BANDS
from node.types import MILLISECOND, Duration, to_seconds

__all__ = [
    "BACKENDS",
    "CATALOGUE",
    "HOP_BOUNDS",
    "LAG_BOUNDS",
    "LINKS_LISTED_MAX",
    "LINK_STATES",
    "LOG_LEVEL_WORDS",
    "MEMBER_STATES",
    "PEER_STATES",
    "PREFIX",
    "SEND_ERRORS",
    "Kind",
    "Label",
    "Metric",
]

PREFIX = "positron_"

LINKS_LISTED_MAX = 128
"""Links with series of their own; the others are only counted, so that strangers cannot mint series without end."""

PEER_STATES = ("connecting", "up", "slow", "down")
MEMBER_STATES = tuple(MemberState)
LINK_STATES = ("closed", "closing", "handshake", "established")
"""The position of a state in this tuple is the value of `positron_link_state`."""

LOG_LEVEL_WORDS = ("debug", "info", "warning", "error")
BACKENDS = ("none", "netem", "nft", "wire", "sim", "other")
SEND_ERRORS = ("EPERM", "ENOBUFS", "EMSGSIZE", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EINVAL", "other")

LAG_BOUNDS: tuple[Duration, ...] = tuple(
    tenths * MILLISECOND // 10 for tenths in (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
)
"""From half a millisecond to one second: above 50 ms a round trip time measured by this node is its own lateness."""

HOP_BOUNDS = (1, 2, 3, 4, 5, 6, 8, 12)


class Kind(StrEnum):
    """Types of the exposition format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Label:
    """One label. values: every value it can take, or empty where the value is a fact of the node or of a link."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. labels: beside `node`, which every series carries.

    unit: seconds, bytes, ratio or what is counted. bounds: upper limits of the buckets of a histogram, in its unit.
    tier: 1 for a fixed number of series per node, 2 for a number that grows with the links.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, ...] = field(default=(), repr=False)
    tier: int = 1


_TRANSPORT = Label("transport", tuple(Carrier))
_PEER = (Label("peer"),)


def _counter(name: str, unit: str, text: str, *labels: Label) -> Metric:
    return Metric(name=PREFIX + name, kind=Kind.COUNTER, unit=unit, help=text, labels=labels)


def _gauge(name: str, unit: str, text: str, *labels: Label) -> Metric:
    return Metric(name=PREFIX + name, kind=Kind.GAUGE, unit=unit, help=text, labels=labels)


def _histogram(name: str, text: str, bounds: tuple[Duration, ...]) -> Metric:
    limits = tuple(to_seconds(bound) for bound in bounds)
    return Metric(name=PREFIX + name, kind=Kind.HISTOGRAM, unit="seconds", help=text, bounds=limits)


def _link(name: str, unit: str, text: str) -> Metric:
    kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
    return Metric(name=f"{PREFIX}link_{name}", kind=kind, unit=unit, help=text, labels=_PEER, tier=2)


def _tcp_link(name: str, unit: str, text: str) -> Metric:
    kind = Kind.COUNTER if name.endswith("_total") else Kind.GAUGE
    return Metric(name=f"{PREFIX}tcp_link_{name}", kind=kind, unit=unit, help=text, labels=_PEER, tier=2)


_NODE = (
    _gauge("build_info", "constant 1", "Version of the node and of Python.", Label("version"), Label("python")),
    _gauge(
        "node_info",
        "constant 1",
        "Who the node is: full key, the 8 digits that others use as label peer, role, network and profile.",
        Label("node_id"),
        Label("peer"),
        Label("role", ("seed", "node")),
        Label("network_id"),
        Label("profile"),
    ),
    _gauge("ready", "0 or 1", "Whether the node has an active peer or is a seed."),
    _gauge("uptime_seconds", "seconds", "Time since the node began, by a clock that does not jump."),
    _gauge("peers", "peers", "Known peers by state; up and slow ones are active.", Label("state", PEER_STATES)),
    _gauge("links", "links", "Connections by transport and state.", _TRANSPORT, Label("state", LINK_STATES)),
    _gauge(
        "links_unlisted", "links", "Links without series of their own, beyond the limit of listed links.", _TRANSPORT
    ),
)

_SOCKET = (
    _counter("udp_sent_datagrams_total", "datagrams", "Datagrams handed to the kernel, to all peers."),
    _counter("udp_received_datagrams_total", "datagrams", "Datagrams read from the kernel, of all senders."),
    _counter("udp_sent_bytes_total", "bytes", "Bytes of datagrams handed to the kernel, headers of IP and UDP apart."),
    _counter("udp_received_bytes_total", "bytes", "Bytes of datagrams read, headers of IP and UDP apart."),
    _counter(
        "udp_send_errors_total",
        "errors",
        "Datagrams that the kernel refused, by error; EPERM shows a firewall in the output path.",
        Label("errno", SEND_ERRORS),
    ),
    _counter("udp_backlog_drops_total", "datagrams", "Datagrams dropped because too many waited for a full socket."),
    _counter("udp_kernel_drops_total", "datagrams", "Datagrams that the kernel dropped for want of receive buffer."),
    _gauge("udp_receive_buffer_bytes", "bytes", "Receive buffer that the kernel granted."),
    _gauge("udp_send_buffer_bytes", "bytes", "Send buffer that the kernel granted."),
    _gauge("udp_asked_buffer_bytes", "bytes", "Size asked for each buffer, in the kernel's own counting."),
)

_TRANSPORT_TOTALS = (
    _counter(
        "sent_packets_total", "packets", "Packets sent on connections, handshakes apart; on TCP: records.", _TRANSPORT
    ),
    _counter(
        "received_packets_total",
        "packets",
        "Packets received and accepted, handshakes apart; on TCP: records.",
        _TRANSPORT,
    ),
    _counter("sent_bytes_total", "bytes", "Bytes of packets sent, all headers of ours included.", _TRANSPORT),
    _counter("received_bytes_total", "bytes", "Bytes of packets received and accepted.", _TRANSPORT),
    _counter(
        "dropped_packets_total",
        "packets",
        "Packets received and dropped, by reason.",
        _TRANSPORT,
        Label("reason", DROP_REASONS),
    ),
    _counter(
        "handshakes_total",
        "handshakes",
        "Handshakes that ended, by result.",
        _TRANSPORT,
        Label("result", ("ok", "failed")),
    ),
    _counter(
        "handshake_refusals_total",
        "handshakes",
        "Handshakes refused with a word, by who refused whom and why; the word is not authenticated.",
        _TRANSPORT,
        Label("direction", ("sent", "received")),
        Label("reason", REFUSAL_REASONS),
    ),
    _counter(
        "handshake_retries_total",
        "cookies",
        "Cookies for strangers, sent under load or received.",
        Label("direction", ("sent", "received")),
    ),
    _counter(
        "stateless_resets_total",
        "resets",
        "Resets sent for connections of a former process, or received from a peer that was started again.",
        Label("direction", ("sent", "received")),
    ),
    _counter("key_updates_total", "updates", "Times a UDP connection replaced the key with which it seals packets."),
    _counter("path_changes_total", "changes", "Times a peer answered a challenge at another address."),
    _counter("mtu_black_holes_total", "paths", "Times a path no longer carried packets that it had carried before."),
    _counter(
        "retransmitted_packets_total",
        "packets",
        "UDP packets that carried data again, by what made them: detected loss, retransmission timer, tail-loss probe.",
        Label("cause", RETRANSMISSION_CAUSES),
    ),
    _counter(
        "lost_packets_total",
        "packets",
        "UDP packets declared lost, by trigger.",
        Label("trigger", LOSS_TRIGGERS),
    ),
    _counter(
        "spurious_retransmissions_total",
        "packets",
        "UDP packets declared lost and acknowledged later: sending their data again was needless.",
    ),
    _counter(
        "credit_used_up_total",
        "times",
        "Times that the credit of a UDP connection, or of a channel of it, had been used up when more came.",
        Label("level", ("connection", "channel")),
    ),
    _counter("expired_messages_total", "messages", "Reliable messages withdrawn because their deadline passed."),
    _counter(
        "dropped_messages_total",
        "messages",
        "Unreliable messages that were never sent: pushed out by newer ones, or too large for the peer.",
    ),
    _counter("tail_loss_probes_total", "probes", "Probes sent because the last packets stayed unacknowledged."),
    _counter("rto_expirations_total", "expirations", "Expiries of the effective retransmission timer."),
    _histogram("rtt_seconds", "Round trip times of UDP packets, each sample free of retransmission.", RTT_BOUNDS),
)

_LINKS = (
    _link("state", "code", "State of the UDP link: 0 closed, 1 closing, 2 handshake, 3 established."),
    _link("established_timestamp_seconds", "seconds", "Unix time at which the handshake completed."),
    _link("rtt_smoothed_seconds", "seconds", "Smoothed round trip time (RFC 9002 section 5.3)."),
    _link("rtt_latest_seconds", "seconds", "Latest round trip time."),
    _link("rtt_min_seconds", "seconds", "Least round trip time of the connection."),
    _link("rtt_variance_seconds", "seconds", "Mean deviation of the round trip time (rttvar)."),
    _link(
        "rto_computed_seconds",
        "seconds",
        "Retransmission timeout as computed: smoothed round trip + 4 deviations + longest delay of an acknowledgement.",
    ),
    _link(
        "rto_effective_seconds",
        "seconds",
        "Retransmission timeout in force: the computed one within its limits, doubled per expiry.",
    ),
    _link("rto_backoff", "expirations", "Expiries of the retransmission timer in a row."),
    _link("cwnd_bytes", "bytes", "Congestion window: bytes that may be unacknowledged."),
    _link("ssthresh_bytes", "bytes", "Window at which slow start ends; absent until a first loss."),
    _link("in_flight_bytes", "bytes", "Bytes sent and not yet acknowledged or lost."),
    _link("mtu_bytes", "bytes", "Largest datagram that the path is known to carry."),
    _link("send_queue_messages", "messages", "Messages that wait to be sent or acknowledged."),
    _link("sent_packets_total", "packets", "Packets sent on the link."),
    _link("received_packets_total", "packets", "Packets received on the link."),
    _link("sent_bytes_total", "bytes", "Bytes of packets sent on the link."),
    _link("received_bytes_total", "bytes", "Bytes of packets received on the link."),
    _link("retransmitted_packets_total", "packets", "Packets of the link that carried data again."),
    _link("lost_packets_total", "packets", "Packets of the link declared lost."),
    _link("spurious_retransmissions_total", "packets", "Packets of the link declared lost and acknowledged later."),
    _link("rto_expirations_total", "expirations", "Expiries of the link's retransmission timer."),
    _link("sent_messages_total", "messages", "Messages accepted for sending on the link."),
    _link("received_messages_total", "messages", "Whole messages received on the link."),
)

_TCP_LINKS = (
    _tcp_link("rtt_smoothed_seconds", "seconds", "Smoothed round trip time of the TCP link, as the kernel has it."),
    _tcp_link("rtt_variance_seconds", "seconds", "Deviation of the TCP link's round trip time, as the kernel has it."),
    _tcp_link("rto_seconds", "seconds", "The kernel's retransmission timeout of the TCP link."),
    _tcp_link("cwnd_bytes", "bytes", "The kernel's congestion window of the TCP link."),
    _tcp_link("retransmitted_segments_total", "segments", "Segments of the TCP link that the kernel sent again."),
)

_TYPE = Label("type", tuple(kind.name.lower() for kind in MessageType))
_REASON = Label("reason", REJECTION_REASONS)

_SERVICES = (
    _counter("sent_messages_total", "messages", "Messages sent, by type.", _TYPE),
    _counter("received_messages_total", "messages", "Messages received, by type.", _TYPE),
    _counter(
        "rejected_messages_total",
        "messages",
        "Messages refused by the peer service and the router, by reason.",
        Label("service", ("core", "peers")),
        _REASON,
    ),
    _counter("direct_delivered_messages_total", "messages", "Messages to this node alone, handed to the application."),
    _counter("direct_duplicate_messages_total", "messages", "Messages to this node alone that arrived again."),
    _counter(
        "direct_sends_total",
        "messages",
        "Messages to one peer, by result.",
        Label("result", ("acknowledged", "failed")),
    ),
    _counter("resent_messages_total", "messages", "Messages given to another connection of the same peer."),
    _counter("withdrawn_messages_total", "messages", "Copies given up since their peer had the message meanwhile."),
    _counter(
        "dials_total", "dials", "Connections begun by this node, by result.", Label("result", ("begun", "failed"))
    ),
    _counter("heartbeats_sent_total", "heartbeats", "Heartbeats sent, answers included."),
    _counter("heartbeats_received_total", "heartbeats", "Heartbeats received, answers included."),
    _gauge("clock_skew_seconds", "seconds", "How far the clocks of the peers are ahead, by their median."),
    _gauge("peer_clocks_off", "peers", "Peers whose clocks are more than a minute off: what they say may be refused."),
    _counter("peer_suspicions_total", "suspicions", "Times a peer fell silent and was probed."),
    _counter("peer_losses_total", "losses", "Times a silent peer was given up."),
    _counter("member_accusations_total", "accusations", "Nodes that this node accused before the whole network."),
    _counter("member_false_suspicions_total", "suspicions", "Nodes that this node accused and that were alive."),
    _counter(
        "member_refutations_total",
        "refutations",
        "Suspects that refuted: this node itself, and others as this node saw it.",
        Label("by", ("self", "others")),
    ),
    _counter("member_deaths_total", "nodes", "Members that died, as this node saw it."),
    _counter("member_probes_relayed_total", "probes", "Questions that this node asked for others."),
    _gauge("members", "nodes", "Members of the network by state, this node apart.", Label("state", MEMBER_STATES)),
    _gauge(
        "member_local_health",
        "factor",
        "1 when this node is well, up to 8 when it gives others more time because it may be the problem itself.",
    ),
    _counter("peer_transitions_total", "transitions", "Peers that became active or went.", Label("to", ("up", "down"))),
    _counter(
        "peer_addresses_total",
        "records",
        "Records of other nodes received from peers, by result.",
        Label("result", ("learned", "refused")),
    ),
    _counter("gossip_published_messages_total", "messages", "Broadcasts of this node."),
    _counter(
        "gossip_delivered_messages_total", "messages", "Broadcasts of others handed to the application, each once."
    ),
    _counter(
        "gossip_accepted_messages_total",
        "messages",
        "First copies accepted, those about members of the network included.",
    ),
    _counter("gossip_duplicate_messages_total", "messages", "Copies of broadcasts that arrived again."),
    _counter("gossip_forwarded_messages_total", "messages", "Copies of broadcasts of others sent on."),
    _counter("gossip_announced_messages_total", "messages", "Message ids told to peers."),
    _counter("gossip_requested_messages_total", "messages", "Message ids asked for."),
    _counter("gossip_served_messages_total", "messages", "Copies sent because a peer asked."),
    _counter(
        "gossip_repaired_messages_total",
        "messages",
        "Messages that came because this node asked, by how it learned of them: told by a peer, or found by a sync.",
        Label("path", REPAIR_PATHS),
    ),
    _counter("gossip_failed_sends_total", "messages", "Copies that a peer did not acknowledge in time."),
    _counter("gossip_overflowed_messages_total", "messages", "Copies that found no room in a queue and became ids."),
    _counter(
        "gossip_rate_limited_total",
        "messages",
        "Messages, lists of ids, grafts and prunes dropped because a peer sent too many.",
    ),
    _counter("gossip_grafts_total", "grafts", "Peers put into the mesh, by either side."),
    _counter("gossip_prunes_total", "prunes", "Peers put out of the mesh, by either side."),
    _counter("gossip_syncs_total", "syncs", "Exchanges of claims begun by this node."),
    _counter("gossip_digest_mismatches_total", "heartbeats", "Heartbeats whose digest differed."),
    _counter("gossip_rejected_messages_total", "messages", "Broadcasts refused, by reason.", _REASON),
    _histogram("gossip_propagation_seconds", "Time from publishing to delivery, as the two clocks see it.", AGE_BOUNDS),
    Metric(
        name=PREFIX + "gossip_hops",
        kind=Kind.HISTOGRAM,
        unit="links",
        help="Links that delivered broadcasts travelled.",
        bounds=HOP_BOUNDS,
    ),
    _gauge("gossip_cached_messages", "messages", "Broadcasts kept to serve peers that missed them."),
    _gauge("gossip_cached_bytes", "bytes", "Bytes of broadcasts kept."),
    _gauge("gossip_origins", "nodes", "Authors whose sequence numbers are remembered."),
    _gauge("gossip_mesh_peers", "peers", "Peers in the mesh, to which small messages are pushed at once."),
    _gauge("gossip_eager_peers", "peers", "Peers in the mesh that are to send large messages unasked."),
)

_TRUST = (
    _gauge("trust_peers", "nodes", "Nodes that trust knows anything of, by band.", Label("band", BANDS)),
    _counter(
        "trust_penalties_total",
        "penalties",
        "Evidence of this node's own against others, by kind.",
        Label("kind", tuple(PENALTIES)),
    ),
    _counter("trust_credits_total", "messages", "First deliveries that counted for the peer that brought them."),
    _counter("trust_bans_total", "bans", "Nodes that this node began to keep away from."),
    _counter(
        "trust_statements_total",
        "statements",
        "Signed statements of others about others, by result.",
        Label("result", ("accepted", "repeated", "limited", "rejected")),
    ),
    _gauge("trust_statements_held", "statements", "Statements that count now."),
)

_RUNTIME = (
    _histogram("event_loop_lag_seconds", "Lateness of a timer of the event loop, measured twice a second.", LAG_BOUNDS),
    _gauge("tasks", "tasks", "Tasks of the event loop."),
    _gauge(
        "wall_clock_shift_seconds",
        "seconds",
        "How far the system's clock was set since the node began, which goes on by the old one.",
    ),
    _counter("log_messages_total", "messages", "Log records by level.", Label("level", LOG_LEVEL_WORDS)),
    _counter("log_suppressed_messages_total", "messages", "Log records withheld by the rate limit."),
    _counter("handler_errors_total", "errors", "Exceptions that application handlers raised."),
    _counter(
        "handler_dropped_messages_total", "messages", "Messages dropped because application handlers were behind."
    ),
    _counter(
        "state_saves_total",
        "saves",
        "Saves of the memory to disk, by result.",
        Label("result", ("ok", "failed")),
    ),
    _gauge("scrape_render_seconds", "seconds", "Time that rendering the previous scrape took."),
    _counter("process_cpu_seconds_total", "seconds", "Processor time of the process, user and system."),
    _gauge("process_resident_memory_bytes", "bytes", "Resident memory of the process."),
    _gauge("process_open_fds", "descriptors", "Open file descriptors of the process."),
    _gauge("process_start_time_seconds", "seconds", "Unix time at which the process began."),
)

_PLACE = (Label("target"), Label("dir", ("egress", "ingress")), Label("backend", BACKENDS))

_IMPAIRMENT = (
    _gauge("impairment_loss_ratio", "ratio", "Packet loss that is configured for this node's network.", *_PLACE),
    _gauge("impairment_delay_seconds", "seconds", "Delay that is configured for this node's network.", *_PLACE),
    _gauge("impairment_jitter_seconds", "seconds", "Jitter that is configured for this node's network.", *_PLACE),
    _gauge(
        "impairment_rate_bytes_per_second",
        "bytes per second",
        "Rate limit that is configured for this node's network; 0 for none.",
        *_PLACE,
    ),
    _gauge("impairment_asked_loss_ratio", "ratio", "Packet loss that was asked of this node's network.", *_PLACE),
    _gauge("impairment_asked_delay_seconds", "seconds", "Delay that was asked of this node's network.", *_PLACE),
    _counter(
        "impairment_offered_packets_total",
        "packets",
        "Packets that met an impairment in this node.",
        Label("backend"),
    ),
    _counter(
        "impairment_dropped_packets_total",
        "packets",
        "Packets that an impairment in this node dropped.",
        Label("backend"),
    ),
    _gauge(
        "chaos_active",
        "faults",
        "1 for each fault that runs on this node or its links, or that it was told of.",
        Label("step"),
        Label("kind"),
    ),
)

CATALOGUE: dict[str, Metric] = {
    metric.name: metric
    for group in (_NODE, _SOCKET, _TRANSPORT_TOTALS, _LINKS, _TCP_LINKS, _SERVICES, _TRUST, _RUNTIME, _IMPAIRMENT)
    for metric in group
}
