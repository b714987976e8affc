"""Runs a module of the tests inside the lab, a kernel with netem, and reads what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["seen_in_lab"]

ROOT = Path(__file__).parents[2]


def seen_in_lab(
    file: Path, words: Sequence[str], *options: str, seconds: int, images: Mapping[str, str], patience: int = 60
) -> dict[str, Any]:
    """What the module left in that file, the only one in its folder; `logs` in it are shown if it failed.

    words: the module and its arguments. options: of netem-lab. seconds: that the lab has, and `patience` beside it.
    images: of containers, as the environment names them; they are handed in if `options` say so.
    """
    # The lab's clock is the real one: what else this machine does must not be measured.
    lab = ["nice", "-n", "-15", str(ROOT / "tests/lab/netem-lab"), "--timeout", str(seconds), "--out", str(file.parent)]
    done = subprocess.run(
        [*lab, *options, "--", sys.executable, "-m", *words],
        cwd=ROOT,
        env={**os.environ, **images},
        capture_output=True,
        text=True,
        timeout=seconds + patience,
        check=False,
    )
    seen: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-2000:]}\n{json.dumps(seen.get('logs'), indent=1)}"
    return seen
