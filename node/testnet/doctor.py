"""Finds out what this machine can do for a testnet by trying it, and says how to get what is missing.

Each check stands alone: one that fails says so and the next one runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from node.testnet.compose import COMPOSE_FILE, compose_version, find_compose_file
from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.runners.loopback import has_loopback_network

__all__ = ["Finding", "examine"]

TRY_TIMEOUT = 20.0
"""Seconds for one attempt on this machine's kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a testnet needs or can use.

    is_required: without it nothing starts. detail: what was found. cure: how to get it, or "" when it is there.
    """

    subject: str
    is_there: bool
    is_required: bool
    detail: str
    cure: str = ""


def examine(image: str, file: str | None) -> Iterator[Finding]:
    """Every check, in the order in which to mend them. image: of the node, used to try netem if it is built.

    Containers are required only where local processes cannot stand in for them.
    """
    local = _local_processes()
    yield local
    yield Finding(subject="wire", is_there=True, is_required=False, detail="nodes impair their own links, everywhere")
    for finding in _containers(image, file):
        yield replace(finding, is_required=finding.is_required and not local.is_there)
    yield _user_mode_linux()


def _containers(image: str, file: str | None) -> Iterator[Finding]:
    version, has_netem, has_nft = _ask_engine(image)
    yield version
    found = compose_version()
    yield Finding(
        subject="compose",
        is_there=found is not None,
        is_required=True,
        detail=f"Docker Compose {found}" if found else "`docker compose` does not work",
        cure="" if found else "install the Compose plugin of Docker (docs.docker.com/compose/install)",
    )
    yield _compose_file(file)
    yield _netem(has_netem)
    yield _nft(has_nft)


def _local_processes() -> Finding:
    is_there = has_loopback_network()
    return Finding(
        subject="proc",
        is_there=is_there,
        is_required=False,
        detail="testnets of local processes work" if is_there else "the addresses 127.0.0.0/8 cannot be had",
        cure="" if is_there else "local processes need Linux; take --runner docker, or sim for scenarios",
    )


def _nft(is_there: bool | None) -> Finding:
    """Tries the hook that drops in silence, unless a container has, in a network namespace that is gone afterwards."""
    rules = "table netdev t { chain c { type filter hook ingress device lo priority 0; numgen random mod 2 0 drop; }; }"
    if is_there is None:
        reason = _refused(["unshare", "--net", "nft", rules], ("unshare", "nft"))
    else:
        reason = "" if is_there else "the engine's kernel has no nf_tables with the netdev hook, or the image no nft"
    return Finding(
        subject="nft",
        is_there=not reason,
        is_required=False,
        detail=reason or "nftables can drop at ingress, without a word to the sender",
        cure=reason and "install nftables, ask as root, and use a kernel with nf_tables (4.2 and newer)",
    )


def _user_mode_linux() -> Finding:
    reason = _refused(["linux.uml", "--version"], ("linux.uml",), needs_root=False)
    return Finding(
        subject="uml",
        is_there=not reason,
        is_required=False,
        detail=reason or "User-Mode Linux starts: the lab can run real netem on any kernel",
        cure=reason and "install user-mode-linux (Debian, Ubuntu); only the tests of the tier lab need it",
    )


def _refused(command: Sequence[str], programs: Sequence[str], *, needs_root: bool = True) -> str:
    """Why that command does not work here; "" if it does."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        return f"{missing[0]} is not installed"
    if needs_root and os.geteuid() != 0:
        return "not known: only root can try"
    try:
        tried = subprocess.run(command, capture_output=True, text=True, timeout=TRY_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if tried.returncode == 0 else (tried.stderr.strip().splitlines() or [f"status {tried.returncode}"])[0]


def _ask_engine(image: str) -> tuple[Finding, bool | None, bool | None]:
    """The engine, and whether a container on it has netem and nftables; None where that cannot be tried."""
    try:
        from node.testnet.runners.docker import engine

        with engine() as docker:
            finding = Finding(
                subject="docker", is_there=True, is_required=True, detail=f"Docker Engine {docker.version}"
            )
            return finding, docker.has_netem(image), docker.has_nft(image)
    except ModuleNotFoundError as error:
        detail, cure = f"the Python package {error.name} is missing", "pip install 'positron-testnet[testnet]'"
    except TestnetFailed as error:
        detail = str(error).removesuffix("; see `testnet doctor`")
        cure = "install Docker Engine, start it, and be allowed to use it (docs.docker.com/engine/install)"
    return Finding(subject="docker", is_there=False, is_required=True, detail=detail, cure=cure), None, None


def _compose_file(file: str | None) -> Finding:
    try:
        path = find_compose_file(file)
    except TestnetMisused as error:
        return Finding(
            subject="compose file",
            is_there=False,
            is_required=True,
            detail=str(error),
            cure=f"run this in a checkout of the project, where {COMPOSE_FILE} is",
        )
    return Finding(subject="compose file", is_there=True, is_required=True, detail=str(path))


def _netem(has_netem: bool | None) -> Finding:
    if has_netem is None:
        has_netem = _host_has_netem()
    if has_netem is None:
        detail, cure = "not known yet", "build the image (docker compose build) and ask again, or ask as root"
    elif has_netem:
        detail, cure = "tc-netem works: loss, delay, jitter and rate can be applied", ""
    else:
        detail = "the kernel has no sch_netem: --loss, --delay, --jitter and --rate cannot be applied"
        cure = "modprobe sch_netem on the host of the engine (Fedora and RHEL: package kernel-modules-extra)"
    return Finding(subject="netem", is_there=has_netem is True, is_required=False, detail=detail, cure=cure)


def _host_has_netem() -> bool | None:
    """Tries it in a network namespace that is gone afterwards; None where that cannot be tried."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("tc") is None:
        return None
    command = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    try:
        return subprocess.run(command, capture_output=True, timeout=TRY_TIMEOUT, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return None
