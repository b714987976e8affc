from __future__ import annotations

import subprocess
import tomllib

import pytest

from tests.entrypoint.conftest import Container


def start(container: Container, **environment: str) -> dict[str, str]:
    """The environment of the command that the entry point became."""
    done = container.run("entrypoint", "env", **environment)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def configuration(container: Container) -> dict[str, str]:
    """What the entry point found out for the node."""
    assert start(container)["POSITRON_CONFIG"] == str(container.config_file)
    return tomllib.loads(container.config_file.read_text())


def test_the_node_is_named_for_its_replica(container: Container) -> None:
    assert configuration(container)["name"] == "node-3"


@pytest.mark.parametrize("name", ["my-own-project-node-12.my-own-project_p2p", "project_node_12.project_p2p"])
def test_neither_project_names_nor_the_separator_of_compose_matter(container: Container, name: str) -> None:
    container.write("names", f"10.1.0.4 {name}\n")
    assert configuration(container)["name"] == "node-12"


def test_a_container_without_a_number_is_named_for_its_host_name(container: Container) -> None:
    container.write("names", "10.1.0.4 lonely.bridge\n")
    assert configuration(container)["name"] == subprocess.check_output(["hostname"], text=True).strip()


def test_the_transport_listens_on_the_impaired_network_and_the_api_on_the_other(container: Container) -> None:
    found = configuration(container)
    assert (found["host"], found["metrics_host"]) == ("10.1.0.4", "10.2.0.3")


def test_on_an_internal_network_alone_both_listen_there(container: Container) -> None:
    container.addresses("2: eth0 inet 10.1.0.4/24")
    container.write("routes", "")
    found = configuration(container)
    assert (found["host"], found["metrics_host"]) == ("10.1.0.4", "10.1.0.4")


def test_a_configuration_file_of_ones_own_is_left_alone(container: Container) -> None:
    environment = start(container, POSITRON_CONFIG="/etc/positron.toml")
    assert environment["POSITRON_CONFIG"] == "/etc/positron.toml"
    assert not container.config_file.exists()


def test_the_node_never_sees_variables_that_are_not_its_own(container: Container) -> None:
    environment = start(container, LOSS="0%", P2P_INTERFACE="eth1")
    assert not {"LOSS", "DELAY", "JITTER", "RATE", "P2P_INTERFACE"} & set(environment)


def test_every_privilege_is_given_up_before_the_command_runs(container: Container) -> None:
    start(container)
    assert container.calls == [
        "setpriv --reuid 10001 --regid 10001 --clear-groups --inh-caps=-all --ambient-caps=-all "
        "--bounding-set=-all --no-new-privs -- env"
    ]


def test_the_output_of_the_command_is_not_mixed_with_the_report_of_the_impairment(container: Container) -> None:
    done = container.run("entrypoint", "echo", "only this")
    assert done.stdout == "only this\n"
    assert done.stderr == "impairment on eth1: none\n"


def test_the_node_does_not_start_when_the_impairment_cannot_be_applied(container: Container) -> None:
    container.refuses("Error: Specified qdisc kind is unknown.")
    done = container.run("entrypoint", "echo", "started", LOSS="10%")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1


def test_the_node_does_not_start_with_an_impossible_impairment(container: Container) -> None:
    done = container.run("entrypoint", "echo", "started", LOSS="ten")
    assert (done.returncode, done.stdout) == (2, "")


def test_somebody_without_privileges_has_none_to_give_up(container: Container) -> None:
    (container.directory / "id").write_text("#!/bin/sh\necho 10001\n")
    start(container)
    assert container.calls == []
