from __future__ import annotations

from pathlib import Path

from node.api.openapi import description, text
from node.api.routes import ROUTES

ROOT = Path(__file__).parents[2]


def test_the_description_in_the_documents_is_the_one_of_the_code() -> None:
    kept = (ROOT / "docs" / "openapi.json").read_text()
    assert kept == text(), "run `python -m node.api.openapi > docs/openapi.json`"


def test_health_is_open_and_everything_else_may_ask_for_the_token() -> None:
    assert [route.path for route in ROUTES if route.is_open] == ["/healthz", "/readyz"]
    for route in ROUTES:
        answers = description()["paths"][route.path][route.method.lower()]["responses"]
        assert ("401" in answers) is not route.is_open
