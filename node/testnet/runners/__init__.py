"""Where nodes run: containers, local processes, a simulation. `choose_runner` and `make_runner` go by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from node.testnet.errors import TestnetError, TestnetFailed
from node.testnet.runners.base import Runner

if TYPE_CHECKING:
    from node.testnet.runners.proc import ProcRunner
    from node.testnet.scenario.scenario import Scenario

__all__ = ["RUNNER_NAMES", "attach", "choose_runner", "make_runner"]

KERNEL_BACKENDS = ("netem", "nft")
RUNNER_NAMES = ("auto", "docker", "proc", "sim")


def choose_runner(name: str, scenario: Scenario | None = None) -> tuple[str, str]:
    """The runner that is meant for a scenario, and why it is that one.

    auto: containers where the scenario asks for what only they have, and an engine and the image are there; else local
    processes, which start sooner and need neither; a simulation where there are none.
    """
    if name != "auto":
        return name, "asked for"
    from node.testnet.runners.loopback import has_loopback_network

    allowed = (scenario.runners if scenario is not None else ()) or ("proc", "docker", "sim")
    wish = _wish_for_containers(scenario, allowed)
    lack = _lack_of_containers() if wish else ""
    if wish and not lack:
        return "docker", wish
    but = f"; {wish}, but {lack}" if wish else ""
    if "proc" in allowed and has_loopback_network():
        return "proc", f"processes of this machine{but}"
    if "sim" in allowed:
        return "sim", f"this system does not lend out the addresses 127.0.0.0/8 that processes need{but}"
    return "docker", f"nothing else may run it{but}"


def _wish_for_containers(scenario: Scenario | None, allowed: Sequence[str]) -> str:
    """What the scenario asks for and only containers have; "" for nothing."""
    if scenario is None or "docker" not in allowed:
        return ""
    if "proc" not in allowed:
        return f"the scenario is for {' and '.join(allowed)} only"
    return f"the scenario asks for the backend {scenario.backend}" if scenario.backend in KERNEL_BACKENDS else ""


def _lack_of_containers() -> str:
    """Why containers cannot be had right now; "" if they can."""
    try:
        from node.testnet.runners.contained import image_of_nodes
        from node.testnet.runners.docker import engine
    except ModuleNotFoundError as error:
        return f"the Python package {error.name} is missing"
    try:
        with engine() as docker:
            image = image_of_nodes()
            return "" if docker.has_image(image) else f"the engine has no image {image}"
    except TestnetError as error:
        return str(error)


def attach(name: str) -> ProcRunner:
    """The testnet of that name that another command has brought up; TestnetFailed says why there is none."""
    from node.testnet.runners.directory import running
    from node.testnet.runners.proc import ProcRunner

    try:
        plan = running(name).read_plan()
    except TestnetFailed as error:
        if _is_unkept(name):
            raise TestnetFailed(
                f"the containers of {name!r} have nobody who would end a fault in time, as `docker compose up` starts "
                "them; start them with `testnet up`"
            ) from error
        raise
    if plan.get("runner") != "docker":
        return ProcRunner.attach(name)
    from node.testnet.runners.contained import DockerRunner

    return DockerRunner.attach(name)


def _is_unkept(name: str) -> bool:
    """Whether containers of that name run without a keeper."""
    try:
        from node.testnet.runners.docker import engine

        with engine() as docker:
            return bool(docker.nodes(name))
    except (ModuleNotFoundError, TestnetError):
        return False


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
