from __future__ import annotations

import json
import re

import jsonschema

from node.api.openapi import description
from node.api.schemas import SCHEMAS


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(description())))
    assert referred == set(SCHEMAS)


def test_every_schema_is_one() -> None:
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
