"""JSON Schemas of what the API takes and gives, as far as they are promised; answers may hold more than they say.

Knows nothing of HTTP. `node.api.routes` puts them to use; `node.api.validation` holds requests to them.
"""

from __future__ import annotations

from typing import Any

from node.api.limits import (
    RECORDING_BYTES_DEFAULT,
    RECORDING_BYTES_MAX,
    RECORDING_BYTES_MIN,
    SEND_TIMEOUT_MAX,
)

__all__ = ["CHAOS_COMMANDS", "SCHEMAS", "Schema", "reference"]

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SECONDS: Schema = {"type": "number", "description": "seconds"}
SECONDS_OR_NULL: Schema = {"type": ["number", "null"], "description": "seconds; null: not measured"}
TIME: Schema = {"type": "number", "description": "Unix time in seconds"}
SWITCH: Schema = {"type": "boolean"}
COUNTERS: Schema = {"type": "object"}
NODE_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "key of the node"}
MESSAGE_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
CURSOR: Schema = {"type": "string", "description": "give it as `after` to get what comes next"}


CHAOS_COMMANDS = ("links", "faults", "afflict", "mark", "heal", "listen", "probes", "arrived")
"""What can be done to the links of a node that allows it; docs/CHAOS.md explains the bodies."""


def reference(name: str) -> Schema:
    """The schema of that name, by reference."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    """An answer: every property is there, and later versions may add others."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _page(name: str, item: Schema) -> Schema:
    return _object(
        **{name: _list(item)},
        cursor=CURSOR,
        missed={**COUNT, "description": "entries after the cursor that are gone already"},
        is_reset={**SWITCH, "description": "the cursor was of an earlier life of the node"},
    )


SCHEMAS: dict[str, Schema] = {
    "Problem": _object(type=TEXT, title=TEXT, status={"type": "integer"}, detail=TEXT)
    | {"description": "what went wrong (RFC 9457)"},
    "Status": _object(status=TEXT),
    "Node": _object(
        node_id=NODE_ID,
        name=TEXT,
        network_id=TEXT,
        version=TEXT,
        state=TEXT,
        is_ready=SWITCH,
        is_seed=SWITCH,
        profile=TEXT,
        uptime=SECONDS,
        time=TIME,
        monotonic=SECONDS,
        addresses=_object(udp=_nullable(TEXT), tcp=_nullable(TEXT), http=_nullable(TEXT)),
    ),
    "Stats": _object(
        node_id=NODE_ID,
        name=TEXT,
        network_id=TEXT,
        state=TEXT,
        uptime=SECONDS,
        is_ready=SWITCH,
        active_peers=COUNT,
        known_peers=COUNT,
        members={**COUNTERS, "description": "nodes of the network by state, this one apart, linked or not"},
        transport=_object(udp=_nullable(COUNTERS), tcp=_nullable(COUNTERS)),
        connections={"type": "object", "description": "best link of each active peer, by node id"},
        faults={**_list(_object(step=TEXT, kind=TEXT)), "description": "that a controller has told the node of"},
        links=_list(reference("Link")),
        gossip_stats=COUNTERS,
        trust_stats=COUNTERS,
        runtime=_object(
            loop_lag_seconds=SECONDS,
            loop_lag_samples=COUNT,
            clock_shift={**SECONDS, "description": "by which the system's clock was set since the node began"},
            handler_errors=COUNT,
            handler_drops=COUNT,
        ),
    ),
    "Peer": _object(
        node_id=NODE_ID,
        peer={**TEXT, "description": "first 8 digits of the key"},
        name=_nullable(TEXT),
        state={"type": "string", "enum": ["connecting", "up", "slow", "down"]},
        member=_nullable({"type": "string", "enum": ["alive", "suspect", "dead", "left"]}),
        address=TEXT,
        tcp_port=COUNT,
        connected_at=_nullable(TIME),
        last_seen=_nullable(TIME),
        rtt=SECONDS_OR_NULL,
        heartbeats_sent=COUNT,
        heartbeats_received=COUNT,
    ),
    "PeerWithLinks": {
        "allOf": [reference("Peer"), _object(links=_list(reference("Link")))],
    },
    "Recording": {
        "type": "object",
        "required": ["is_recording"],
        "additionalProperties": False,
        "properties": {
            "is_recording": {
                "type": "boolean",
                "description": "whether to record from now on; what was stays readable",
            },
            "bytes_max": {
                "type": "integer",
                "minimum": RECORDING_BYTES_MIN,
                "maximum": RECORDING_BYTES_MAX,
                "default": RECORDING_BYTES_DEFAULT,
                "description": "memory of the node for events; the oldest make room",
            },
        },
    },
    "RecordingAnswer": _object(is_recording=SWITCH, was_recording=SWITCH),
    "Peers": _object(peers=_list(reference("Peer"))),
    "Link": _object(
        node_id=_nullable(NODE_ID),
        transport={"type": "string", "enum": ["udp", "tcp"]},
        address=TEXT,
        state=TEXT,
        packets_sent=COUNT,
        packets_received=COUNT,
        bytes_sent=COUNT,
        bytes_received=COUNT,
        loss_asked={
            "type": ["number", "null"],
            "description": "share of what is sent that the network is asked to lose; null: not known, as where the "
            "kernels of the receivers drop (nft)",
        },
    )
    | {
        "description": "rtt, rttvar, rto and retransmissions of tcp are the kernel's, null where unknown; udp has also "
        "rtt_p50 and rtt_p99 since the link began, and rtt_buckets, [above, up to or null, round trips] each"
    },
    "Links": _object(links=_list(reference("Link"))),
    "Message": _object(
        number=COUNT,
        at=TIME,
        monotonic=SECONDS,
        message_id=MESSAGE_ID,
        origin=NODE_ID,
        hops=COUNT,
        age=SECONDS,
        is_broadcast=SWITCH,
        data={"description": 'what the author sent; bytes are {"base64": "..."}'},
    ),
    "Messages": _page("messages", reference("Message")),
    "Event": _object(number=COUNT, kind=TEXT, at=TIME, monotonic=SECONDS)
    | {"description": "started, peer_up and peer_down have a node_id; published and delivered have a message_id"},
    "History": _page("events", reference("Event")),
    "Broadcast": {"type": "object", "description": "any object; keys are at most 256 bytes, depth at most 16"},
    "BroadcastAnswer": _object(message_id=MESSAGE_ID),
    "Send": {
        "type": "object",
        "required": ["to", "data"],
        "additionalProperties": False,
        "properties": {
            "to": {
                "type": "string",
                "minLength": 1,
                "maxLength": 300,
                "description": "node id, its first digits (4 or more), name of a known peer, or HOST:PORT",
            },
            "data": {"description": "any JSON value"},
            "reliable": {"type": "boolean", "default": True, "description": "wait until the peer has it"},
            "timeout": {
                "type": "number",
                "minimum": 0.001,
                "maximum": SEND_TIMEOUT_MAX,
                "default": 5.0,
                "description": "seconds until it is given up",
            },
        },
    },
    "SendAnswer": _object(
        to={**TEXT, "description": "node id or address"},
        is_acknowledged=SWITCH,
        seconds={**SECONDS, "description": "until the peer had it, or until it was on its way"},
    ),
    "Trust": _object(
        trusted_from={"type": "number", "description": "score from which a node is trusted"},
        stats=COUNTERS,
        peers=_list(reference("Trusted")),
    ),
    "Trusted": _object(
        node_id=NODE_ID,
        name=_nullable(TEXT),
        band=TEXT,
        score={"type": "number", "minimum": -1, "maximum": 1, "description": "with the word of others, within bounds"},
        own={"type": "number", "description": "from this node's own evidence alone"},
        trust={"type": "number", "minimum": 0, "maximum": 1, "description": "the score as a share"},
        first_deliveries=COUNT,
        penalties={"type": "object", "description": "evidence against it, by kind"},
        banned_for=SECONDS_OR_NULL,
    ),
}
