"""Where nodes run: containers, local processes, a simulation. `choose_runner` and `make_runner` go by name."""

from __future__ import annotations

from node.testnet.runners.base import Runner

__all__ = ["RUNNER_NAMES", "choose_runner", "make_runner"]

RUNNER_NAMES = ("auto", "docker", "proc", "sim")


def choose_runner(name: str) -> tuple[str, str]:
    """The runner that is meant, and why it is that one. auto: the first of the others that works here."""
    if name != "auto":
        return name, "asked for"
    from node.testnet.runners.loopback import has_loopback_network

    if has_loopback_network():
        return "proc", "processes of this machine"
    return "sim", "this system does not lend out the addresses 127.0.0.0/8 that processes need"


def make_runner(name: str) -> Runner:
    """The runner of that name."""
    assert name in RUNNER_NAMES
    name, _ = choose_runner(name)
    if name == "sim":
        from node.testnet.runners.sim import SimRunner

        return SimRunner()
    if name == "docker":
        from node.testnet.runners.contained import DockerRunner

        return DockerRunner()
    from node.testnet.runners.proc import ProcRunner

    return ProcRunner()
