"""Turns what a node knows about itself into values of the catalogue's metrics.

Knows nothing of any exposition format or library. Input is one `Observation`, made by the node's shell at scrape time;
output is a stream of `Reading`, in which a series appears at most once and every known label set appears, zeros too.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from node.config.version import package_version
from node.core.snapshot import NodeSnapshot
from node.metrics.impairment import ChaosReading, Impairment
from node.metrics.links import LINK_METRICS, LinkRows, link_rows
from node.metrics.names import (
    HOP_BOUNDS,
    LAG_BOUNDS,
    LINK_STATES,
    LINKS_LISTED_MAX,
    MEMBER_STATES,
    PEER_STATES,
    SEND_ERRORS,
)
from node.metrics.process import ProcessReading
from node.transport.stats import EndpointStats, Histogram
from node.types import SECOND, Duration, median_of, short_id, to_seconds
from node.wire.limits import CLOCK_SKEW_MAX

__all__ = [
    "Observation", "Reading", "RuntimeStats", "SocketReading", "first_readings", "last_readings", "readings", "rows_of",
    "unlisted_reading",
]  # fmt: skip


@dataclass(slots=True)
class RuntimeStats:
    """What the shell has counted since the node began; integers, bumped in place. loop_lag: of the event loop.

    clock_shift: how far the system's wall clock was set in that time.
    """

    loop_lag: Histogram = field(default_factory=lambda: Histogram(LAG_BOUNDS))
    log_messages: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("debug", "info", "warning", "error"), 0)
    )
    log_suppressed: int = 0
    handler_errors: int = 0
    handler_drops: int = 0
    state_saves: int = 0
    state_save_failures: int = 0
    render_time: Duration = 0
    clock_shift: Duration = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketReading:
    """The UDP socket. send_errors: by name of the error, `other` included."""

    sent_datagrams: int = 0
    received_datagrams: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    send_errors: Mapping[str, int] = field(default_factory=dict)
    backlog_drops: int = 0
    kernel_drops: int = 0
    receive_buffer: int | None = None
    send_buffer: int | None = None
    asked_buffer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A node at one instant, as its shell sees it.

    wall_offset: Unix time minus the node's monotonic clock, in nanoseconds. socket: None where UDP is disabled.
    impairments: None when what is configured cannot be known. chaos: None unless a controller may impair this node.
    listed_max: links that get series of their own, at most LINKS_LISTED_MAX.
    """

    snapshot: NodeSnapshot
    wall_offset: Duration
    socket: SocketReading | None
    runtime: RuntimeStats
    tasks: int
    process: ProcessReading
    impairments: tuple[Impairment, ...] | None
    is_seed: bool
    profile: str
    chaos: ChaosReading | None = None
    listed_max: int = LINKS_LISTED_MAX


class Reading(NamedTuple):
    """One value. labels: values in the order of the catalogue. counts: buckets of a histogram, `value` its sum.

    A tuple, because a scrape makes thousands of them, and a frozen class is three times as slow to make.
    """

    name: str
    value: float
    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] | None = None


def readings(seen: Observation) -> Iterator[Reading]:
    """Every value that the observation holds."""
    yield from first_readings(seen)
    for links in rows_of(seen):
        names = LINK_METRICS[links.transport]
        for label, row in links.rows.items():
            for name, value in zip(names, row, strict=True):
                if value is not None:
                    yield Reading(name, value, (label,))
        yield unlisted_reading(links)
    yield from last_readings(seen)


def first_readings(seen: Observation) -> Iterator[Reading]:
    """Those that come before the links."""
    yield from _node(seen)
    if seen.socket is not None:
        yield from _socket(seen.socket)
    yield from _transports(seen.snapshot)


def rows_of(seen: Observation) -> list[LinkRows]:
    """What the links of the transports that are on say of themselves."""
    snapshot = seen.snapshot
    transports = [name for name, stats in (("udp", snapshot.udp), ("tcp", snapshot.tcp)) if stats is not None]
    return [link_rows(snapshot.links, name, seen.listed_max, seen.wall_offset) for name in transports]


def unlisted_reading(links: LinkRows) -> Reading:
    """How many links have no row."""
    return Reading("positron_links_unlisted", links.unlisted, (links.transport,))


def last_readings(seen: Observation) -> Iterator[Reading]:
    """Those that come after the links."""
    yield from _messages(seen.snapshot)
    yield from _peering(seen.snapshot)
    yield from _gossip(seen.snapshot)
    yield from _trust(seen.snapshot)
    yield from _runtime(seen)
    if seen.chaos is not None:
        yield from _chaos(seen.chaos)
    for impairment in seen.impairments or ():
        if seen.chaos is None or impairment.backend != "none":
            yield from _impairment(impairment)


def _node(seen: Observation) -> Iterator[Reading]:
    snapshot = seen.snapshot
    yield Reading("positron_build_info", 1, (package_version(), platform.python_version()))
    yield Reading(
        "positron_node_info",
        1,
        (
            snapshot.node_id.hex(),
            short_id(snapshot.node_id),
            "seed" if seen.is_seed else "node",
            snapshot.network_id,
            seen.profile,
        ),
    )
    yield Reading("positron_ready", int(snapshot.is_ready))
    yield Reading("positron_uptime_seconds", to_seconds(snapshot.uptime))
    states = dict.fromkeys(PEER_STATES, 0)
    for peer in snapshot.peers:
        states[peer.state] += 1
    for state, count in states.items():
        yield Reading("positron_peers", count, (state,))
    for transport, stats in (("udp", snapshot.udp), ("tcp", snapshot.tcp)):
        if stats is not None:
            yield from _link_states(snapshot, transport)


def _link_states(snapshot: NodeSnapshot, transport: str) -> Iterator[Reading]:
    states = dict.fromkeys(LINK_STATES, 0)
    for link in snapshot.links:
        if link.connection.transport == transport:
            states[link.connection.state] += 1
    for state, count in states.items():
        yield Reading("positron_links", count, (transport, state))


def _socket(socket: SocketReading) -> Iterator[Reading]:
    yield Reading("positron_udp_sent_datagrams_total", socket.sent_datagrams)
    yield Reading("positron_udp_received_datagrams_total", socket.received_datagrams)
    yield Reading("positron_udp_sent_bytes_total", socket.sent_bytes)
    yield Reading("positron_udp_received_bytes_total", socket.received_bytes)
    errors = dict.fromkeys(SEND_ERRORS, 0)
    for name, count in socket.send_errors.items():
        errors[name if name in errors else "other"] += count
    for name, count in errors.items():
        yield Reading("positron_udp_send_errors_total", count, (name,))
    yield Reading("positron_udp_backlog_drops_total", socket.backlog_drops)
    yield Reading("positron_udp_kernel_drops_total", socket.kernel_drops)
    if socket.receive_buffer is not None:
        yield Reading("positron_udp_receive_buffer_bytes", socket.receive_buffer)
    if socket.send_buffer is not None:
        yield Reading("positron_udp_send_buffer_bytes", socket.send_buffer)
    if socket.asked_buffer is not None:
        yield Reading("positron_udp_asked_buffer_bytes", socket.asked_buffer)


def _transports(snapshot: NodeSnapshot) -> Iterator[Reading]:
    for transport, stats in (("udp", snapshot.udp), ("tcp", snapshot.tcp)):
        if stats is None:
            continue
        yield Reading("positron_sent_packets_total", stats.packets_sent, (transport,))
        yield Reading("positron_received_packets_total", stats.packets_received, (transport,))
        yield Reading("positron_sent_bytes_total", stats.bytes_sent, (transport,))
        yield Reading("positron_received_bytes_total", stats.bytes_received, (transport,))
        for reason, count in stats.packets_dropped.items():
            yield Reading("positron_dropped_packets_total", count, (transport, reason))
        yield Reading("positron_handshakes_total", stats.handshakes_completed, (transport, "ok"))
        yield Reading("positron_handshakes_total", stats.handshakes_failed, (transport, "failed"))
        for direction, refusals in (("sent", stats.refusals_sent), ("received", stats.refusals_received)):
            for reason, count in refusals.items():
                yield Reading("positron_handshake_refusals_total", count, (transport, direction, reason))
    # The kernel repeats lost TCP segments without telling: zeros for TCP would be numbers that nobody measured.
    if snapshot.udp is not None:
        yield from _recovery(snapshot.udp)
        yield from _protection(snapshot.udp)


def _recovery(stats: EndpointStats) -> Iterator[Reading]:
    for cause, count in stats.packets_retransmitted.items():
        yield Reading("positron_retransmitted_packets_total", count, (cause,))
    for trigger, count in stats.packets_lost.items():
        yield Reading("positron_lost_packets_total", count, (trigger,))
    yield Reading("positron_spurious_retransmissions_total", stats.spurious_losses)
    yield Reading("positron_credit_used_up_total", stats.credit_used_up, ("connection",))
    yield Reading("positron_credit_used_up_total", stats.channel_credit_used_up, ("channel",))
    yield Reading("positron_expired_messages_total", stats.messages_expired)
    yield Reading("positron_dropped_messages_total", stats.messages_dropped)
    yield Reading("positron_tail_loss_probes_total", stats.probes)
    yield Reading("positron_rto_expirations_total", stats.rto_expirations)
    yield _durations("positron_rtt_seconds", stats.rtt)


def _protection(stats: EndpointStats) -> Iterator[Reading]:
    yield Reading("positron_handshake_retries_total", stats.retries_sent, ("sent",))
    yield Reading("positron_handshake_retries_total", stats.retries_received, ("received",))
    yield Reading("positron_stateless_resets_total", stats.resets_sent, ("sent",))
    yield Reading("positron_stateless_resets_total", stats.resets_received, ("received",))
    yield Reading("positron_key_updates_total", stats.key_updates)
    yield Reading("positron_path_changes_total", stats.path_changes)
    yield Reading("positron_mtu_black_holes_total", stats.mtu_black_holes)


def _messages(snapshot: NodeSnapshot) -> Iterator[Reading]:
    stats = snapshot.messages
    for kind, count in stats.sent.items():
        yield Reading("positron_sent_messages_total", count, (kind,))
    for kind, count in stats.received.items():
        yield Reading("positron_received_messages_total", count, (kind,))
    for service, rejected in (("core", stats.rejected), ("peers", snapshot.peering.rejected)):
        for reason, count in rejected.items():
            yield Reading("positron_rejected_messages_total", count, (service, reason))
    yield Reading("positron_direct_delivered_messages_total", stats.delivered)
    yield Reading("positron_direct_duplicate_messages_total", stats.duplicates)
    yield Reading("positron_direct_sends_total", stats.sends_finished, ("acknowledged",))
    yield Reading("positron_direct_sends_total", stats.sends_failed, ("failed",))
    yield Reading("positron_resent_messages_total", stats.resent)
    yield Reading("positron_withdrawn_messages_total", stats.withdrawn)


def _peering(snapshot: NodeSnapshot) -> Iterator[Reading]:
    stats = snapshot.peering
    yield Reading("positron_dials_total", stats.dials, ("begun",))
    yield Reading("positron_dials_total", stats.dials_failed, ("failed",))
    yield Reading("positron_heartbeats_sent_total", stats.heartbeats_sent)
    yield Reading("positron_heartbeats_received_total", stats.heartbeats_received)
    skews = [peer.clock_skew for peer in snapshot.peers if peer.clock_skew is not None]
    yield Reading("positron_clock_skew_seconds", to_seconds(median_of(skews)) if skews else 0.0)
    yield Reading("positron_peer_clocks_off", sum(abs(skew) > CLOCK_SKEW_MAX for skew in skews))
    yield Reading("positron_peer_suspicions_total", stats.suspicions)
    yield Reading("positron_peer_losses_total", stats.losses)
    yield Reading("positron_member_accusations_total", stats.accusations)
    yield Reading("positron_member_false_suspicions_total", stats.false_suspicions)
    yield Reading("positron_member_refutations_total", stats.own_refutations, ("self",))
    yield Reading("positron_member_refutations_total", stats.refutations, ("others",))
    yield Reading("positron_member_deaths_total", stats.deaths)
    yield Reading("positron_member_probes_relayed_total", stats.probes_relayed)
    yield Reading("positron_member_local_health", stats.local_health)
    for state in MEMBER_STATES:
        yield Reading("positron_members", stats.members.get(state, 0), (state,))
    yield Reading("positron_peer_transitions_total", stats.peers_up, ("up",))
    yield Reading("positron_peer_transitions_total", stats.peers_down, ("down",))
    yield Reading("positron_peer_addresses_total", stats.addresses_learned, ("learned",))
    yield Reading("positron_peer_addresses_total", stats.addresses_refused, ("refused",))


def _gossip(snapshot: NodeSnapshot) -> Iterator[Reading]:
    stats = snapshot.gossip
    yield Reading("positron_gossip_published_messages_total", stats.published)
    yield Reading("positron_gossip_delivered_messages_total", stats.delivered)
    yield Reading("positron_gossip_duplicate_messages_total", stats.duplicates)
    yield Reading("positron_gossip_forwarded_messages_total", stats.relayed)
    yield Reading("positron_gossip_announced_messages_total", stats.announced)
    yield Reading("positron_gossip_requested_messages_total", stats.requested)
    yield Reading("positron_gossip_served_messages_total", stats.served)
    for path, count in stats.repaired.items():
        yield Reading("positron_gossip_repaired_messages_total", count, (path,))
    yield Reading("positron_gossip_accepted_messages_total", stats.accepted)
    yield Reading("positron_gossip_failed_sends_total", stats.failed_sends)
    yield Reading("positron_gossip_overflowed_messages_total", stats.overflows)
    yield Reading("positron_gossip_rate_limited_total", stats.rate_limited)
    yield Reading("positron_gossip_grafts_total", stats.grafts)
    yield Reading("positron_gossip_prunes_total", stats.prunes)
    yield Reading("positron_gossip_syncs_total", stats.syncs)
    yield Reading("positron_gossip_digest_mismatches_total", stats.sync_mismatches)
    yield Reading("positron_gossip_mesh_peers", stats.mesh_size)
    yield Reading("positron_gossip_eager_peers", stats.eager_wanted)
    for reason, count in stats.rejected.items():
        yield Reading("positron_gossip_rejected_messages_total", count, (reason,))
    yield _durations("positron_gossip_propagation_seconds", stats.age)
    yield _hops(stats.hops)
    yield Reading("positron_gossip_cached_messages", stats.cached)
    yield Reading("positron_gossip_cached_bytes", stats.cached_bytes)
    yield Reading("positron_gossip_origins", stats.origins)


def _trust(snapshot: NodeSnapshot) -> Iterator[Reading]:
    overview = snapshot.trust
    stats = overview.stats
    for band, count in overview.bands.items():
        yield Reading("positron_trust_peers", count, (band,))
    for kind, count in stats.penalties.items():
        yield Reading("positron_trust_penalties_total", count, (kind,))
    yield Reading("positron_trust_credits_total", stats.credits)
    yield Reading("positron_trust_bans_total", stats.bans)
    for result, count in (
        ("accepted", stats.statements_accepted),
        ("repeated", stats.statements_repeated),
        ("limited", stats.statements_limited),
        ("rejected", sum(stats.rejected.values())),
    ):
        yield Reading("positron_trust_statements_total", count, (result,))
    yield Reading("positron_trust_statements_held", stats.statements)


def _runtime(seen: Observation) -> Iterator[Reading]:
    runtime, process = seen.runtime, seen.process
    yield _durations("positron_event_loop_lag_seconds", runtime.loop_lag)
    yield Reading("positron_tasks", seen.tasks)
    yield Reading("positron_wall_clock_shift_seconds", to_seconds(runtime.clock_shift))
    for level, count in runtime.log_messages.items():
        yield Reading("positron_log_messages_total", count, (level,))
    yield Reading("positron_log_suppressed_messages_total", runtime.log_suppressed)
    yield Reading("positron_handler_errors_total", runtime.handler_errors)
    yield Reading("positron_handler_dropped_messages_total", runtime.handler_drops)
    yield Reading("positron_state_saves_total", runtime.state_saves, ("ok",))
    yield Reading("positron_state_saves_total", runtime.state_save_failures, ("failed",))
    yield Reading("positron_scrape_render_seconds", to_seconds(runtime.render_time))
    for name, value in (
        ("cpu_seconds_total", process.cpu),
        ("resident_memory_bytes", process.resident),
        ("open_fds", process.open_files),
        ("start_time_seconds", process.started),
    ):
        if value is not None:
            yield Reading(f"positron_process_{name}", value)


def _impairment(impairment: Impairment) -> Iterator[Reading]:
    place = (impairment.target, impairment.dir, impairment.backend)
    yield Reading("positron_impairment_loss_ratio", impairment.loss_ratio, place)
    yield Reading("positron_impairment_delay_seconds", impairment.delay_seconds, place)
    yield Reading("positron_impairment_jitter_seconds", impairment.jitter_seconds, place)
    yield Reading("positron_impairment_rate_bytes_per_second", impairment.rate_bytes_per_second, place)
    if impairment.asked_loss_ratio is not None:
        yield Reading("positron_impairment_asked_loss_ratio", impairment.asked_loss_ratio, place)
    if impairment.asked_delay_seconds is not None:
        yield Reading("positron_impairment_asked_delay_seconds", impairment.asked_delay_seconds, place)


def _chaos(chaos: ChaosReading) -> Iterator[Reading]:
    for impairment in chaos.links:
        # A node does to its own links what it is asked to.
        loss, delay = impairment.loss_ratio, impairment.delay_seconds
        yield from _impairment(replace(impairment, asked_loss_ratio=loss, asked_delay_seconds=delay))
    yield Reading("positron_impairment_offered_packets_total", chaos.offered, (chaos.backend,))
    yield Reading("positron_impairment_dropped_packets_total", chaos.dropped, (chaos.backend,))
    for step, kind in dict.fromkeys(chaos.active):
        yield Reading("positron_chaos_active", 1, (step, kind))


def _durations(name: str, histogram: Histogram) -> Reading:
    return Reading(name, histogram.total / SECOND, (), tuple(histogram.counts))


def _hops(hops: Mapping[int, int]) -> Reading:
    counts = Histogram(HOP_BOUNDS).counts
    for links, count in hops.items():
        position = next((at for at, bound in enumerate(HOP_BOUNDS) if links <= bound), len(HOP_BOUNDS))
        counts[position] += count
    return Reading("positron_gossip_hops", sum(links * count for links, count in hops.items()), (), tuple(counts))
