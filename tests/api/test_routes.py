from __future__ import annotations

import re

from node.api.handlers import Handlers
from node.api.routes import ROUTES


def test_every_route_has_a_handler_of_its_name_and_every_handler_a_route() -> None:
    names = [route.name for route in ROUTES]
    assert sorted(names) == sorted(name for name in vars(Handlers) if not name.startswith("_"))


def test_no_route_is_there_twice() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_path_parameters_are_described() -> None:
    for route in ROUTES:
        described = [parameter.name for parameter in route.parameters if parameter.place == "path"]
        assert described == re.findall(r"{(\w+)}", route.path)
