"""Fuzzes one target of tests/fuzz/targets for some time, and prints executions and coverage.

Usage: scripts/fuzz/run TARGET [--seconds N] [--engine atheris|random] [--seed N] [--merge]
       scripts/fuzz/run TARGET --replay FILE
Begins with the inputs of tests/fuzz/corpus and of earlier runs in out/fuzz. --merge adds to the committed corpus what
covers something new. The exit status is 0 only if nothing was found, something was executed and something covered.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

try:
    import atheris
except ImportError:
    atheris = None

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
FOUND = ROOT / "out" / "fuzz"
INPUT_BYTES_MAX = 4_096
COMMITTED_BYTES_MAX = 1_300
NAMES = ("datagram", "frames", "handshake", "messages", "tcp")


MERGED_TARGET = "POSITRON_FUZZ_TARGET"
"""Tells the processes that libFuzzer starts for a merge, with flags of its own, which target it is."""


def main() -> int:
    if MERGED_TARGET in os.environ:
        fuzz(os.environ[MERGED_TARGET], sys.argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", choices=NAMES)
    parser.add_argument("--list", action="store_true", help="print the targets")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--engine", choices=("atheris", "random"), default="atheris" if atheris else "random")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations")
    parser.add_argument("--merge", action="store_true", help="add to the committed corpus what covers something new")
    parser.add_argument("--replay", type=Path, help="run the target once, on that file")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list or options.target is None:
        print(*NAMES, sep="\n")
        return 0
    if options.replay is not None:
        load(options.target)(options.replay.read_bytes())
        return 0
    if options.in_process:
        run_atheris(options)
    if options.engine == "atheris":
        return supervise(options)
    if atheris is None:
        print("atheris is not installed: plain random mutation instead", flush=True)
    return run_random(options)


def load(name: str) -> Callable[[bytes], None]:
    from tests.fuzz.targets.all import TARGETS

    return TARGETS[name]


# --------------------------------------------------------------------------------------------------------- with atheris


def supervise(options: argparse.Namespace) -> int:
    """Runs libFuzzer, which ends its own process, and sums up what it said."""
    command = [sys.executable, __file__, options.target, "--in-process", "--seconds", str(options.seconds)]
    command += ["--seed", str(options.seed), *(["--merge"] if options.merge else [])]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if not line.startswith("INFO: Instrumenting"):
                print(line, end="", flush=True)
    text = "".join(lines)
    executions = max([int(found) for found in re.findall(r"^#(\d+)\s", text, re.MULTILINE)], default=0)
    coverage = [int(found) for found in re.findall(r"cov: (\d+)", text)]
    for path in re.findall(r"Test unit written to (\S+)", text):
        print(f"replay: scripts/fuzz/run {options.target} --replay {path}")
    begun, ended = (coverage[0], coverage[-1]) if coverage else (0, 0)
    print(f"{options.target}: {executions} executions, coverage {begun} -> {ended} edges (atheris)")
    is_alive = executions > 0 and ended > 0
    return process.returncode or (0 if is_alive else 1)


def run_atheris(options: argparse.Namespace) -> None:
    """Never returns."""
    kept = FOUND / options.target
    kept.mkdir(parents=True, exist_ok=True)
    committed = CORPUS / options.target
    flags = [f"-artifact_prefix={kept}/crash-", "-timeout=20", f"-seed={options.seed}"]
    if options.merge:
        os.environ[MERGED_TARGET] = options.target
        flags += ["-merge=1", f"-max_len={COMMITTED_BYTES_MAX}", str(committed), str(kept)]
    else:
        flags += [f"-max_total_time={options.seconds}", f"-max_len={INPUT_BYTES_MAX}", "-print_final_stats=1"]
        flags += [str(kept), str(committed)]
    # A merge starts it again through a shell.
    fuzz(options.target, [f"{sys.executable} {Path(__file__).resolve()}", *flags])


def fuzz(name: str, arguments: list[str]) -> None:
    """Never returns."""
    with atheris.instrument_imports(include=["node"]):
        target = load(name)
    atheris.Setup(arguments, target)
    atheris.Fuzz()


# ------------------------------------------------------------------------------------------------------ without atheris


class Lines:
    """The lines of the package that were run so far."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self.prefix = str(ROOT / "node")

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self.prefix):
            return None
        if event == "line":
            self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self.trace


def run_random(options: argparse.Namespace) -> int:
    target, random, lines = load(options.target), Random(options.seed), Lines()
    pool = [path.read_bytes() for path in sorted((CORPUS / options.target).iterdir())] or [b""]
    deadline = time.monotonic() + options.seconds
    executions, begun = 0, 0
    while time.monotonic() < deadline:
        data = pool[executions] if executions < len(pool) else mutated(random, pool)
        before = len(lines.seen)
        run_traced(options.target, target, data, lines)
        executions += 1
        if executions == len(pool):
            begun = len(lines.seen)
        if executions > len(pool) and len(lines.seen) > before:
            pool.append(data)
    print(f"{options.target}: {executions} executions, coverage {begun} -> {len(lines.seen)} lines (random mutation)")
    return 0 if executions and lines.seen else 1


def run_traced(name: str, target: Callable[[bytes], None], data: bytes, lines: Lines) -> None:
    """What escapes the target ends the program, once its input is kept."""
    is_good = False
    sys.settrace(lines.trace)
    try:
        target(data)
        is_good = True
    finally:
        sys.settrace(None)
        if not is_good:
            print(f"replay: scripts/fuzz/run {name} --replay {keep(name, data)}", flush=True)


def mutated(random: Random, pool: list[bytes]) -> bytes:
    """One of the pool with some bytes changed, cut, doubled, or joined with another."""
    data = bytearray(random.choice(pool))
    for _ in range(random.randrange(1, 6)):
        position = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0 if data:
                data[position % len(data)] = random.randrange(256)
            case 1:
                del data[position : position + random.randrange(1, 20)]
            case 2:
                data[position:position] = random.randbytes(random.randrange(1, 20))
            case 3:
                data[position:position] = data[: random.randrange(1, 40)]
            case _:
                data[position:] = random.choice(pool)[position:]
    return bytes(data[:INPUT_BYTES_MAX])


def keep(name: str, data: bytes) -> Path:
    path = FOUND / name / f"crash-{sha256(data).hexdigest()[:16]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    sys.exit(main())
