"""Where nodes run: containers, local processes, a simulation. `make_runner` chooses by name."""

from __future__ import annotations

from node.testnet.runners.base import Runner

__all__ = ["RUNNER_NAMES", "make_runner"]

RUNNER_NAMES = ("auto", "docker", "proc", "sim")


def make_runner(name: str) -> Runner:
    """The runner of that name. auto: the first of the others that works here."""
    assert name in RUNNER_NAMES
    if name == "sim":
        from node.testnet.runners.sim import SimRunner

        return SimRunner()
    if name == "docker":
        from node.testnet.runners.contained import DockerRunner

        return DockerRunner()
    from node.testnet.runners.proc import ProcRunner

    return ProcRunner()
