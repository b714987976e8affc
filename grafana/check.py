"""Checks a running Grafana: is it well, has it the boards, does every query of theirs go through, how does it look.

Asks Grafana's own HTTP API, as the anonymous viewer that a browser is, and nothing else: what Prometheus would answer
by itself is not what people see. A query that fails is an error; one without data is listed, since many panels are
empty on a quiet testnet; a Grafana in which nothing has data is an error again.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parent / "dashboards"
DATASOURCE = "prometheus"
TIMEOUT = 20.0
MINUTES = 15
ANSWER_BYTES_MAX = 64 << 20
DRAW_MILLISECONDS = 20_000
SIZE = "1600,1800"
PICTURE_BYTES_MIN = 10_000
_LABEL_VALUES = re.compile(r"label_values\((.*),\s*(\w+)\)")
_QUERY_RESULT = re.compile(r"query_result\((.*)\)")

Record = dict[str, Any]


class Unusable(Exception):
    """Grafana does not answer as it should; the text says what was asked and what came."""


class Grafana:
    """The API of a Grafana at that address."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def get(self, path: str) -> Any:
        """The JSON at that path."""
        return self._ask(path, None)

    def query(self, expression: str, *, is_instant: bool, step: float = 1.0) -> list[Record]:
        """The frames that the datasource answers with for the last minutes; Unusable with its reason."""
        asked = {
            "refId": "A",
            "datasource": {"type": "prometheus", "uid": DATASOURCE},
            "expr": expression,
            "instant": is_instant,
            "range": not is_instant,
            "intervalMs": int(step * 1000),
            "maxDataPoints": 1000,
        }
        body = {"queries": [asked], "from": f"now-{MINUTES}m", "to": "now"}
        result = self._ask("/api/ds/query", body)["results"]["A"]
        if result.get("error") or result.get("status", 200) != 200:
            raise Unusable(f"{result.get('error') or result['status']}: {expression}")
        frames: list[Record] = result.get("frames") or []
        return [frame for frame in frames if any(len(values) for values in frame["data"]["values"])]

    def _ask(self, path: str, body: Record | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"})  # noqa: S310  # http only, see main
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                return json.loads(answer.read(ANSWER_BYTES_MAX))
        except urllib.error.HTTPError as error:
            said = error.read(2000).decode(errors="replace")
            raise Unusable(f"{path}: status {error.code}: {_message(said)}") from error
        except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
            raise Unusable(f"{self.address} does not answer: {getattr(error, 'reason', error)}") from error
        except ValueError as error:
            raise Unusable(f"{path}: the answer is not JSON, so this is no Grafana") from error


class Check:
    """One run. problems: one line each. empty: panels that have no data."""

    def __init__(self, grafana: Grafana) -> None:
        self._grafana = grafana
        self.problems: list[str] = []
        self.empty: list[str] = []
        self.with_data = 0

    def run(self) -> None:
        """Everything but the pictures."""
        health = self._grafana.get("/api/health")
        version = health.get("version", "of unknown version")
        self._say(
            "health", f"Grafana {version}, database {health.get('database')}", is_ok=health.get("database") == "ok"
        )
        self._datasource()
        for path in sorted(DASHBOARDS.glob("*.json")):
            self._board(json.loads(path.read_text()))
        if not self.with_data:
            self.problems.append("no panel has data: does Prometheus scrape the nodes, and does a testnet run?")

    def _datasource(self) -> None:
        settings = self._grafana.get("/api/frontend/settings")
        found = [one for one in settings.get("datasources", {}).values() if one.get("uid") == DATASOURCE]
        kind = found[0].get("type") if found else "missing"
        self._say("datasource", f"{DATASOURCE}: {kind}", is_ok=kind == "prometheus")

    def _board(self, board: Record) -> None:
        uid = board["uid"]
        try:
            served = self._grafana.get(f"/api/dashboards/uid/{uid}")["dashboard"]
        except Unusable as error:
            self.problems.append(f"board {uid}: {error}")
            return
        titles = [{panel["id"]: panel["title"] for panel in one.get("panels", [])} for one in (board, served)]
        if titles[0] != titles[1]:
            self.problems.append(f"board {uid}: Grafana has other panels than {DASHBOARDS.name}/{uid}.json")
        before = len(self.problems)
        values = self._variables(uid, board)
        for annotation in board["annotations"]["list"]:
            self._ask(f"board {uid}, annotation {annotation['name']!r}", annotation["expr"], is_instant=False)
        queries = 0
        for panel in board["panels"]:
            frames = []
            for target in panel["targets"]:
                queries += 1
                expression = _filled(target["expr"], values)
                where = f"board {uid}, panel {panel['title']!r}, query {target['refId']}"
                frames += self._ask(where, expression, is_instant=bool(target.get("instant")))
            if frames:
                self.with_data += 1
            else:
                self.empty.append(f"{uid}: {panel['title']}")
        self._say(
            f"board {uid}", f"{len(board['panels'])} panels, {queries} queries", is_ok=len(self.problems) == before
        )

    def _variables(self, uid: str, board: Record) -> dict[str, str]:
        """A value for each variable: all where all may be chosen, else the first that there is."""
        values: dict[str, str] = {}
        for variable in board["templating"]["list"]:
            try:
                choices = self._choices(_filled(variable["definition"], values), variable["name"])
            except (Unusable, KeyError) as error:
                self.problems.append(f"board {uid}, variable {variable['name']}: {error}")
                choices = []
            is_all = variable.get("includeAll") or not choices
            values[variable["name"]] = ".+" if is_all else re.escape(str(choices[0])).replace("\\", "\\\\")
        return values

    def _choices(self, definition: str, name: str) -> list[str]:
        """What the page offers to choose from; `query_result` is taken for the label with the variable's name."""
        resources = f"/api/datasources/uid/{DATASOURCE}/resources/api/v1"
        values = _LABEL_VALUES.fullmatch(definition)
        if values is not None:
            match = urllib.parse.quote(values[1])
            found: list[str] = self._grafana.get(f"{resources}/label/{values[2]}/values?match[]={match}")["data"]
            return found
        result = _QUERY_RESULT.fullmatch(definition)
        assert result is not None, definition
        told = self._grafana.get(f"{resources}/query?query={urllib.parse.quote(result[1])}")["data"]["result"]
        return [one["metric"][name] for one in told]

    def _ask(self, where: str, expression: str, *, is_instant: bool) -> list[Record]:
        try:
            return self._grafana.query(expression, is_instant=is_instant)
        except (Unusable, KeyError, TypeError) as error:
            self.problems.append(f"{where}: {error}")
            return []

    def _say(self, what: str, how: str, *, is_ok: bool) -> None:
        _tell(f"{'ok' if is_ok else 'BAD':4}{what}: {how}")
        if not is_ok and not self.problems:
            self.problems.append(f"{what}: {how}")


def pictures(grafana: Grafana, folder: Path, browser: str) -> Iterator[str]:
    """Writes a picture of every board as a browser shows it; yields a line for each that did not come to be."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(DASHBOARDS.glob("*.json")):
        picture = (folder / f"{path.stem}.png").resolve()
        picture.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--no-first-run",
                f"--user-data-dir={profile}",
                f"--window-size={SIZE}",
                f"--virtual-time-budget={DRAW_MILLISECONDS}",
                f"--screenshot={picture}",
                f"{grafana.address}/d/{path.stem}?kiosk&from=now-{MINUTES}m&to=now",
            ]
            try:
                subprocess.run(command, capture_output=True, check=False, timeout=DRAW_MILLISECONDS / 1000 * 6)
            except subprocess.TimeoutExpired:
                yield f"picture of {path.stem}: the browser did not end"
                continue
        if not picture.is_file() or picture.stat().st_size < PICTURE_BYTES_MIN:
            yield f"picture of {path.stem}: the browser drew nothing"
        else:
            _tell(f"ok  picture: {picture}")


def main(arguments: list[str] | None = None) -> int:
    """Status 0 if all is well, 1 if not, 2 for a wrong use."""
    parser = argparse.ArgumentParser(prog="check-grafana", description=__doc__.partition("\n")[0])
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:3000", help="of Grafana (default %(default)s)")
    parser.add_argument("--pictures", metavar="FOLDER", help="write a picture of every board there; needs chromium")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="for an answer, at most (default 0)")
    given = parser.parse_args(arguments)
    if not re.fullmatch(r"https?://[^\s/]+.*", given.url):
        parser.error(f"url {given.url!r}: allowed is http://HOST:PORT")
    if not 0 <= given.wait <= 3600:
        parser.error(f"--wait {given.wait:g}: allowed is 0 to 3600 seconds")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if given.pictures and browser is None:
        parser.error("--pictures: chromium is not installed; on Debian: apt-get install chromium")
    grafana = Grafana(given.url)
    check = Check(grafana)
    try:
        _wait(grafana, given.wait)
        check.run()
        if given.pictures and browser is not None:
            check.problems += pictures(grafana, Path(given.pictures), browser)
    except Unusable as error:
        check.problems.append(str(error))
    except OSError as error:
        check.problems.append(f"--pictures {given.pictures}: {error.strerror}")
    for panel in check.empty:
        _tell(f"    no data: {panel}")
    for problem in check.problems:
        sys.stderr.write(f"check-grafana: {problem}\n")
    return 1 if check.problems else 0


def _wait(grafana: Grafana, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            grafana.get("/api/health")
            return
        except Unusable:
            if time.monotonic() >= until:
                raise
            time.sleep(0.5)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _filled(expression: str, values: dict[str, str]) -> str:
    """The expression with the variables that the page itself fills in; Grafana's server does the rest."""
    for name, value in values.items():
        expression = expression.replace(f"${name}", value)
    return expression


def _message(said: str) -> str:
    """What Grafana says of an error, on one line."""
    try:
        told = json.loads(said)
        said = told.get("message") or next(iter(told["results"].values()))["error"]
    except (ValueError, KeyError, AttributeError, StopIteration, TypeError):
        pass
    return " ".join(str(said).split())[:300]


if __name__ == "__main__":
    sys.exit(main())
