"""Runs the two ends of a measurement as two processes, if need be in two network namespaces."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
PATIENCE = 60.0
QUIC = ("aioquic", "qh3")
"""Peers that share one module, since they share their interface."""


@dataclass(frozen=True)
class Place:
    """Where the two ends run: the server's address, and commands that each of them is prefixed with."""

    name: str
    host: str
    serve_prefix: Sequence[str] = field(default=())
    ask_prefix: Sequence[str] = field(default=())


LOOPBACK = Place("loopback", "127.0.0.1")


def is_installed(name: str) -> bool:
    """Whether a peer can be imported here."""
    return importlib.util.find_spec(name) is not None


def interpreter_with(module: str) -> str | None:
    """The first interpreter that can import it: this one, or one of the environments of the benchmarks."""
    if is_installed(module):
        return sys.executable
    for python in sorted(ROOT.glob(".venv-bench*/bin/python")):
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
        if done.returncode == 0:
            return str(python)
    return None


def measure(
    transport: str, job: str, seconds: float, *, place: Place = LOOPBACK, flags: Sequence[str] = ()
) -> dict[str, Any]:
    """What the asking end measured, and the serving end's CPU seconds as `serve_cpu`."""
    module = transport
    if transport in QUIC:
        module, flags = "quic", (*flags, "--option", f"library={transport}")
    command = [sys.executable, "-m", "sides.main", module]
    with subprocess.Popen(
        [*place.serve_prefix, *command, "serve", place.host, *flags],
        cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        port = json.loads(server.stdout.readline())["port"]
        try:
            asked = subprocess.run(
                [*place.ask_prefix, *command, "ask", place.host, str(port), job, str(seconds), *flags],
                cwd=HERE, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE + seconds,
            )  # fmt: skip
        finally:
            server.stdin.close()
        served = json.loads(server.stdout.readline())
    result: dict[str, Any] = json.loads(asked.stdout)
    if result.get("bytes") == 0:
        raise SystemExit(f"{transport}: no block was acknowledged in {seconds:g} s; measure for longer, with --seconds")
    result["serve_cpu"] = served["cpu"]
    return result


@contextmanager
def veth_pair() -> Iterator[Place]:
    """Two network namespaces joined by a veth pair; needs root and iproute2."""
    names = ("positron-bench-a", "positron-bench-b")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("-n", names[0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", names[1])
        for number, name in enumerate(names, 1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield Place("veth", "10.77.0.1", *(("ip", "netns", "exec", name) for name in names))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
