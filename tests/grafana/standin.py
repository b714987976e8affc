"""Stands in for a Grafana where its image cannot be pulled: the paths that `grafana/check.py` asks, and no more.

Queries are answered by a real Prometheus that has a finished run in it, as frames in Grafana's form; the time of a
query is moved to the run's. Pages are a few words in place of Grafana's own.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from grafana.check import DASHBOARDS

PAGE = "<!DOCTYPE html><title>board</title><h1>board</h1>" + "<p style='color:#%06x'>panel</p>" * 12


@dataclass(slots=True)
class StandIn:
    """prometheus: its address. start, end: Unix times of the run. The rest makes it ill."""

    prometheus: str
    start: float
    end: float
    database: str = "ok"
    datasource: str = "prometheus"
    boards: dict[str, Any] = field(
        default_factory=lambda: {path.stem: json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")}
    )
    address: str = ""

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Status and content for a request."""
        place, _, words = path.partition("?")
        parts = place.strip("/").split("/")
        if place == "/api/health":
            return 200, {"database": self.database, "version": "0.0.0"}
        if place == "/api/frontend/settings":
            return 200, {"datasources": {"Prometheus": {"uid": "prometheus", "type": self.datasource}}}
        if parts[:3] == ["api", "dashboards", "uid"]:
            board = self.boards.get(parts[3])
            return (200, {"dashboard": board}) if board else (404, {"message": "Dashboard not found"})
        if place == "/api/ds/query":
            return self._query(json.loads(body)["queries"][0])
        if parts[:6] == ["api", "datasources", "uid", "prometheus", "resources", "api"]:
            if parts[7] == "query":
                (query,) = urllib.parse.parse_qs(words)["query"]
                return self._ask("query", {"query": query, "time": (self.start + self.end) / 2})
            (match,) = urllib.parse.parse_qs(words)["match[]"]
            return self._ask(f"label/{parts[8]}/values", {"match[]": match, "start": self.start, "end": self.end})
        if parts[0] == "d":
            return 200, PAGE % tuple(range(0, 12 * 0x100, 0x100))
        return 404, {"message": "Not found"}

    def _query(self, asked: dict[str, Any]) -> tuple[int, Any]:
        expression = asked["expr"].replace("$__rate_interval", "4s").replace("$__range", "20s")
        middle = (self.start + self.end) / 2
        if asked["instant"]:
            status, told = self._ask("query", {"query": expression, "time": middle})
        else:
            span = {"start": self.start, "end": self.end, "step": 1}
            status, told = self._ask("query_range", {"query": expression, **span})
        if status != 200:
            return 400, {"results": {"A": {"status": status, "error": told["error"]}}}
        series = told["data"]["result"]
        frames = [{"data": {"values": _values(one.get("values") or [one["value"]])}} for one in series]
        return 200, {"results": {"A": {"status": 200, "frames": frames}}}

    def _ask(self, what: str, words: dict[str, Any]) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"{self.prometheus}/api/v1/{what}?{urllib.parse.urlencode(words)}") as answer:
                return 200, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def _values(points: list[list[Any]]) -> list[list[float]]:
    return [[1000 * float(time) for time, _ in points], [float(value) for _, value in points]]


@contextmanager
def served(stand_in: StandIn) -> Iterator[StandIn]:
    """The stand-in at an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            status, content = stand_in.answer(self.path, body)
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(content, str) else "application/json")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in.address = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield stand_in
        finally:
            server.shutdown()
