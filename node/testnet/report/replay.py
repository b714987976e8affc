"""Puts the samples of a stored run into a Prometheus server of its own, so that boards and queries show a finished run.

The server listens on 127.0.0.1 alone, keeps everything in a folder that goes with it, and is given the history of the
recording rules as well. Needs `prometheus` and `promtool`, 2.42 or newer.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.metrics.exposition import render_openmetrics
from node.testnet.metrics.rules import RULES
from node.testnet.report.server import free_port, need_programs, serving
from node.testnet.report.stored import StoredRun

__all__ = ["Replay", "replayed"]

IMPORT_TIMEOUT = 300.0

LOOKBACK = "4s"
"""A series that got no sample for so long is gone, as in a scrape that failed; the server's default is five minutes."""

_FLAGS = ("--storage.tsdb.retention.time=100y", f"--query.lookback-delta={LOOKBACK}")
_CONFIGURATION = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"


@dataclass(frozen=True, slots=True)
class Replay:
    """A server that answers. start, end: Unix times of the run's first and last sample."""

    port: int
    start: float
    end: float
    has_rules: bool

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def replayed(run: StoredRun, *, port: int = 0, rules: Path = RULES) -> Iterator[Replay]:
    """A Prometheus with that run in it, for as long as the context lasts. port: 0 for any free one.

    Raises TestnetMisused if the run has no samples or the port is taken, TestnetFailed if the server does not start.
    """
    need_programs("prometheus", "promtool")
    times = [(series.times[0], series.times[-1]) for series in run.recording]
    if not times:
        wrong = run.damage.get("metrics.openmetrics", "is empty")
        raise TestnetMisused(f"{run.path} holds no samples: its metrics.openmetrics {wrong}")
    start, end = run.began + min(first for first, _ in times), run.began + max(last for _, last in times)
    port = free_port(port)
    with tempfile.TemporaryDirectory(prefix="positron-replay-") as name:
        folder = Path(name)
        (folder / "prometheus.yml").write_text(_CONFIGURATION)
        _import_samples(run, folder)
        has_rules = rules.is_file()
        if has_rules:
            # The rules' history is computed by asking a server that has the samples; new blocks are seen at its start.
            with serving(folder, port, *_FLAGS):
                span = (f"--start={int(start)}", f"--end={int(end) + 1}", "--eval-interval=1s")
                url = f"--url=http://127.0.0.1:{port}"
                where = f"--output-dir={folder / 'data'}"
                _promtool("tsdb", "create-blocks-from", "rules", url, *span, where, str(rules))
        with serving(folder, port, *_FLAGS):
            yield Replay(port, start, end, has_rules)


def _import_samples(run: StoredRun, folder: Path) -> None:
    """As blocks, with every sample that the file leaves out because nothing had changed."""
    path = folder / "metrics.openmetrics"
    series = (
        (one.name, one.labels, [(run.began + at, value) for at, value in zip(one.times, one.values, strict=True)])
        for one in run.recording
    )
    with path.open("w") as file:
        file.writelines(render_openmetrics(run.recording.families, series))
    _promtool("tsdb", "create-blocks-from", "openmetrics", str(path), str(folder / "data"))
    path.unlink()


def _promtool(*words: str) -> None:
    try:
        done = subprocess.run(("promtool", *words), capture_output=True, text=True, check=False, timeout=IMPORT_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise TestnetFailed(f"promtool {' '.join(words[:3])} took longer than {IMPORT_TIMEOUT:.0f} s") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no word"]
        raise TestnetFailed(f"promtool {' '.join(words[:3])} failed: {last[0]}")
