"""The one table of what the HTTP API answers: paths, parameters, schemas, answers.

Knows nothing of nodes and of any HTTP library. The server registers its handlers from it, requests are held to it,
and `node.api.openapi` describes it, so none of the three can say something else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from node.api.limits import GOAL_PATTERN, GOAL_WORDS, PAGE_ENTRIES_MAX, SEND_TIMEOUT_MAX, WAIT_MAX
from node.api.schemas import CHAOS_COMMANDS, Schema, reference

__all__ = ["ROUTES", "Parameter", "Route"]

JSON = "application/json"
PROBLEM = "application/problem+json"
QLOG = "application/qlog+json-seq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter. place: `query` or `path`; those in a path are required."""

    name: str
    place: str
    schema: Schema
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. name: of the handler's method and of the operation.

    body: schema of the request's JSON, or None. answers: schema and meaning by status, those of problems left out.
    problems: further statuses that are problem documents. is_open: answered without a token.
    is_strict: unknown query parameters are refused. media: content type of the answer.
    """

    method: str
    path: str
    name: str
    summary: str
    answers: dict[int, tuple[Schema, str]]
    parameters: tuple[Parameter, ...] = ()
    body: Schema | None = None
    problems: dict[int, str] = field(default_factory=dict)
    is_open: bool = False
    is_strict: bool = True
    media: str = JSON


_PAGE = (
    Parameter(
        name="after",
        place="query",
        schema={"type": "string", "maxLength": 64},
        text="cursor of an earlier answer; without it, from the oldest that is kept",
    ),
    Parameter(
        name="limit",
        place="query",
        schema={"type": "integer", "minimum": 1, "maximum": PAGE_ENTRIES_MAX, "default": PAGE_ENTRIES_MAX},
        text="entries at most",
    ),
    Parameter(
        name="tail",
        place="query",
        schema={"type": "integer", "minimum": 0, "maximum": PAGE_ENTRIES_MAX},
        text="instead of `after` and `limit`: that many of the newest; 0 for the cursor of the end",
    ),
    Parameter(
        name="wait",
        place="query",
        schema={"type": "number", "minimum": 0, "maximum": WAIT_MAX, "default": 0},
        text="seconds to wait for news when there is none",
    ),
)

_GOAL = (
    Parameter(
        name="wait",
        place="query",
        schema={"type": "string", "pattern": GOAL_PATTERN, "default": "queued", "description": GOAL_WORDS},
        text="until k peers have acknowledged a copy (`acked:k`), or every living member has it (`covered`)",
    ),
    Parameter(
        name="timeout",
        place="query",
        schema={"type": "number", "minimum": 0.001, "maximum": SEND_TIMEOUT_MAX, "default": 5.0},
        text="seconds to wait for that",
    ),
)

_PEER = Parameter(
    name="peer",
    place="path",
    schema={"type": "string", "minLength": 1, "maxLength": 300},
    text="node id, its first digits (4 or more), name, or HOST:PORT",
)

_BUSY = {503: "the node is not running, or too busy"}
_BAD = {400: "a parameter, the cursor or the body is impossible; the detail says what is allowed"}
_NAMED = {404: "no such peer is known", 409: "more than one peer is called so"}
_BODY = {
    408: "the body took too long",
    413: "the body is too large",
    415: "the content type is not application/json, or the body is packed",
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Metrics for Prometheus",
        answers={200: ({"type": "string"}, "text exposition")},
        is_strict=False,
        media="text/plain",
    ),
    Route(
        method="GET",
        path="/healthz",
        name="healthz",
        summary="Whether the node runs",
        answers={200: (reference("Status"), "it does")},
        problems={503: "it does not"},
        is_open=True,
        is_strict=False,
    ),
    Route(
        method="GET",
        path="/readyz",
        name="readyz",
        summary="Whether the node has an active peer, or is a seed",
        answers={200: (reference("Status"), "it has")},
        problems={503: "it has not"},
        is_open=True,
        is_strict=False,
    ),
    Route(
        method="GET",
        path="/api/v1/openapi.json",
        name="openapi",
        summary="This description",
        answers={200: ({"type": "object"}, "OpenAPI 3.1")},
    ),
    Route(
        method="GET",
        path="/api/v1/node",
        name="node",
        summary="Who the node is, where it listens, and its clocks",
        answers={200: (reference("Node"), "the node")},
    ),
    Route(
        method="GET",
        path="/api/v1/stats",
        name="stats",
        summary="Everything that the node counts",
        answers={200: (reference("Stats"), "as `Node.get_stats()`")},
    ),
    Route(
        method="GET",
        path="/api/v1/peers",
        name="peers",
        summary="Known peers",
        answers={200: (reference("Peers"), "every known peer, in any state")},
    ),
    Route(
        method="GET",
        path="/api/v1/peers/{peer}",
        name="peer",
        summary="One peer and its links",
        parameters=(_PEER,),
        answers={200: (reference("PeerWithLinks"), "the peer")},
        problems=_NAMED | _BAD,
    ),
    Route(
        method="GET",
        path="/api/v1/peers/{peer}/qlog",
        name="qlog",
        summary="What was recorded of the UDP connection with a peer, or of the last one, as a qlog file",
        parameters=(_PEER,),
        answers={200: ({"type": "string"}, "qlog 0.3 as a JSON text sequence (RFC 7464)")},
        problems=_NAMED | _BAD | {404: "no such peer is known, or nothing was recorded"},
        media=QLOG,
    ),
    Route(
        method="POST",
        path="/api/v1/peers/{peer}/qlog",
        name="record",
        summary="Begin to record the UDP connection with a peer, or end it",
        parameters=(_PEER,),
        body=reference("Recording"),
        answers={200: (reference("RecordingAnswer"), "it is so")},
        problems=_NAMED
        | _BAD
        | _BODY
        | _BUSY
        | {403: "the request came from a web page", 404: "no such peer is known, or it has no UDP connection"},
    ),
    Route(
        method="GET",
        path="/api/v1/links",
        name="links",
        summary="Connections, those with strangers included",
        answers={200: (reference("Links"), "every connection")},
    ),
    Route(
        method="GET",
        path="/api/v1/trust",
        name="trust",
        summary="Whom the node trusts, and why",
        answers={200: (reference("Trust"), "scores and evidence")},
    ),
    Route(
        method="GET",
        path="/api/v1/messages",
        name="messages",
        summary="Recently received messages",
        parameters=_PAGE,
        answers={200: (reference("Messages"), "messages, oldest first")},
        problems=_BAD | _BUSY,
    ),
    Route(
        method="GET",
        path="/api/v1/history",
        name="history",
        summary="What happened to the node: messages published and delivered, peers up and down",
        parameters=_PAGE,
        answers={200: (reference("History"), "events, oldest first")},
        problems=_BAD | _BUSY,
    ),
    Route(
        method="POST",
        path="/api/v1/broadcast",
        name="broadcast",
        summary="Send an object to every node, and wait until it has come as far as asked",
        parameters=_GOAL,
        body=reference("Broadcast"),
        answers={
            200: (reference("BroadcastAnswer"), "it has come as far as was asked"),
            202: (reference("BroadcastAnswer"), "on its way"),
        },
        problems=_BAD
        | _BODY
        | _BUSY
        | {403: "the request came from a web page", 504: "it did not come so far in time, and spreads on"},
    ),
    Route(
        method="GET",
        path="/api/v1/chaos",
        name="chaos",
        summary="What is asked of this node's links, and what they did",
        answers={200: ({"type": "object"}, "settings, running faults, counts")},
        problems={404: "the setting `chaos_control` is off"},
    ),
    Route(
        method="POST",
        path="/api/v1/chaos/{command}",
        name="chaos_command",
        summary="Impair this node's links, begin or heal a fault, send probes or ask what arrived of them",
        parameters=(
            Parameter(
                name="command",
                place="path",
                schema={"type": "string", "enum": list(CHAOS_COMMANDS)},
                text="what to do",
            ),
        ),
        body={"type": "object"},
        answers={200: ({"type": "object"}, "what was done")},
        problems=_BAD | _BODY | {403: "the request came from a web page", 404: "the setting `chaos_control` is off"},
    ),
    Route(
        method="POST",
        path="/api/v1/send",
        name="send",
        summary="Send a value to one node",
        body=reference("Send"),
        answers={200: (reference("SendAnswer"), "the peer has it, or it is on its way if not `reliable`")},
        problems=_BAD
        | _BODY
        | _BUSY
        | _NAMED
        | {403: "the request came from a web page", 502: "the connection failed", 504: "not acknowledged in time"},
    ),
)
