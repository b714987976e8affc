"""The picture that `positron top` draws of one node: what happened lately, and how a value went.

Knows the fields of the API's statistics and a clock only as the numbers it is given. Input is parsed JSON; output is
plain data (`record`) or lines of text that fit a width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from node.cli.tables import clean, count, duration, per_cent, spark_line, table
from node.cli.views import records
from node.cli.window import Record, Window, measured

__all__ = ["Board"]

HISTORY_MAX = 24
"""Readings that a spark line shows."""

SHIFT_MIN = 1.0
"""Seconds by which a clock has to be set to be worth a line."""

_HEADER = (
    "PEER", "KEY", "VIA", "STATE", "RTT", "RTT P50", "RTT P99", "RTO", "RETRANS", "LOSS ASKED", "LOSS SEEN",
    "MESSAGES/s", "RTT LATELY",
)  # fmt: skip
_LEFT = 4
"""Columns of words, before those of figures."""

NAME_MIN = 13
"""Characters of a name that a narrow terminal keeps: those of node- and eight digits, the usual one."""

_SPARED = ("RTT", "KEY", "VIA", "MESSAGES/s")
"""Columns that a narrow terminal does without, in this order."""

_GOSSIP = ("delivered", "published", "relayed", "duplicates")


class Board:
    """One node. Feed it with `update`, then read `record` or `lines`."""

    def __init__(self) -> None:
        self._window = Window()
        self._rtts: dict[str, deque[float]] = {}
        self._lags: deque[float] = deque(maxlen=HISTORY_MAX)
        self._gossip: deque[float] = deque(maxlen=HISTORY_MAX)

    def update(self, stats: Record, at: float) -> None:
        """Takes the next reading. at: seconds on a clock that does not jump."""
        window = self._window
        window.update(stats, at)
        for history, value in (
            (self._lags, window.lag()),
            (self._gossip, window.rate("gossip_stats", "delivered", is_latest=True)),
        ):
            if value is not None:
                history.append(value)
        rtts = {key: measured(link, "rtt") for key, link in window.latest.items()}
        self._rtts = {
            key: deque([*self._rtts.get(key, ()), rtt], maxlen=HISTORY_MAX)
            for key, rtt in rtts.items()
            if rtt is not None
        }

    def record(self) -> Record:
        """What the picture shows, as plain data: rates per second, shares from 0 to 1, null for what is not known."""
        window, stats = self._window, self._window.stats
        return {
            "node_id": stats.get("node_id"),
            "name": stats.get("name"),
            "state": stats.get("state"),
            "uptime": stats.get("uptime"),
            "active_peers": stats.get("active_peers"),
            "window": window.seconds,
            "loop_lag": self._lags[-1] if self._lags else None,
            **{f"gossip_{name}_per_second": window.rate("gossip_stats", name) for name in _GOSSIP},
            "clock_shift": window.clock_shift(),
            "faults": records(stats.get("faults")),
            "links": [self._link(key, link) for key, link in window.latest.items()],
        }

    def lines(self, width: int = 0, height: int = 0) -> list[str]:
        """The picture. width, height: of the terminal, 0 for any."""
        record = self.record()
        head = (
            f"{clean(record['name'])}  {clean(str(record['node_id'])[:8])}  {clean(record['state'])} for "
            f"{duration(record['uptime'])}  peers {count(record['active_peers'])}  "
            f"loop lag {duration(record['loop_lag'])} {spark_line(self._lags)}"
        )
        rates = [f"{name} {_per_second(record[f'gossip_{name}_per_second'])}" for name in _GOSSIP]
        faults = ", ".join(clean(f"{one.get('step')} ({one.get('kind')})") for one in record["faults"])
        rows = [_row(link) for link in record["links"]]
        lines = [
            head.rstrip(),
            f"gossip/s  {'  '.join(rates)}  {spark_line(self._gossip)}".rstrip(),
            f"faults    {faults or 'none'}",
            *_clock_line(record["clock_shift"]),
            *_asked_line(record["links"]),
            "",
            *(_fitted(rows, width) if rows else ["no links"]),
        ]
        if height and len(lines) > height:
            hidden = len(lines) - height + 1
            lines = [*lines[: height - 1], f"... {hidden} more"]
        return [line[:width] if width else line for line in lines]

    def _link(self, key: str, link: Record) -> Record:
        return {
            "node_id": link.get("node_id"),
            "name": link.get("name"),
            "transport": link.get("transport"),
            "state": link.get("state"),
            "peer_state": link.get("peer_state"),
            "rtt": link.get("rtt"),
            "rto": link.get("rto"),
            "loss_asked": link.get("loss_asked"),
            **self._window.lately(key),
            "rtt_lately": list(self._rtts.get(key, ())),
        }


def _fitted(rows: list[tuple[str, ...]], width: int) -> list[str]:
    """The table, with as much of names and as many columns as fit; what is cut of it are spark lines.

    width: 0 for any.
    """
    columns = list(range(len(_HEADER)))
    if width:
        longest = max(len(row[0]) for row in rows)
        room = max(NAME_MIN, longest + width - _width(rows, columns))
        rows = [(row[0] if len(row[0]) <= room else row[0][: room - 1] + "…", *row[1:]) for row in rows]
        for spared in _SPARED:
            if _width(rows, columns) <= width:
                break
            columns.remove(_HEADER.index(spared))
    return _columns(rows, columns)


def _width(rows: list[tuple[str, ...]], columns: Sequence[int]) -> int:
    """That of all but the spark lines."""
    return max(map(len, _columns(rows, columns[:-1])))


def _columns(rows: list[tuple[str, ...]], columns: Sequence[int]) -> list[str]:
    chosen = [tuple(row[column] for column in columns) for row in rows]
    numbers = [at for at, column in enumerate(columns) if _LEFT <= column < len(_HEADER) - 1]
    return table([_HEADER[column] for column in columns], chosen, numbers=numbers)


def _clock_line(shift: float | None) -> list[str]:
    """A word of warning where somebody has set the clock."""
    if shift is None or abs(shift) < SHIFT_MIN:
        return []
    way = "forward" if shift > 0 else "back"
    return [f"clock     was set {way} by {duration(abs(shift))}: the node goes on by the old one until it starts anew"]


def _asked_line(links: Sequence[Record]) -> list[str]:
    """Why a loss that is asked for may be missing."""
    if all(link["loss_asked"] is not None for link in links):
        return []
    return ["asked     - where receivers drop in their kernels (nft), or what is configured cannot be read"]


def _row(link: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(link["name"] or "-"),
        str(link["node_id"] or "-")[:8],
        str(link["transport"] or "-"),
        str((link["peer_state"] if link["state"] == "established" else link["state"]) or "-"),
        duration(link["rtt"]),
        duration(link["rtt_p50"]),
        duration(link["rtt_p99"]),
        duration(link["rto"]),
        per_cent(link["retransmitted"]),
        per_cent(link["loss_asked"]),
        per_cent(link["loss_seen"]),
        _per_second(link["messages_per_second"]),
        spark_line(link["rtt_lately"]),
    )


def _per_second(rate: object) -> str:
    if not isinstance(rate, int | float):
        return "-"
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"
