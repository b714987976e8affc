"""What the schema has against a file, in the words of people: the place, the value, and what is allowed there.

The command line takes its guesses from here, and has to work without the extra; so nothing of it is imported.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

    from node.testnet.scenario.source import Mistake, Source

__all__ = ["nearest", "shown", "told"]

SHOWN_MAX = 60
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}


def told(source: Source, error: ValidationError) -> Iterator[Mistake]:
    """The mistakes that an error of the schema stands for."""
    given: Any = error.validator_value
    place = list(error.absolute_path)
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = schema.get("properties", {})
        for key in error.instance:
            if key not in known:
                text = f"unknown; {nearest(str(key), known)}allowed is one of {', '.join(known)}"
                yield source.mistake([*place, key], text)
        return
    if error.validator == "required":
        assert isinstance(error.instance, Mapping)
        missing = [name for name in given if name not in error.instance]
        yield source.mistake(place, f"{', '.join(missing)} is missing")
        return
    yield source.mistake(place, f"{shown(error.instance)}: allowed is {_allowed(error, schema)}")


def nearest(name: str, known: Mapping[str, object] | list[str]) -> str:
    """The beginning of a sentence that guesses what was meant; "" where nothing is near."""
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}? " if near else ""


def shown(value: object) -> str:
    """A value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def _allowed(error: ValidationError, schema: Mapping[str, Any]) -> str:
    """What the schema would take there. The comment of a part of it is that part in words."""
    value: Any = error.validator_value
    if "$comment" in schema and error.validator not in ("maxItems", "maxLength", "minItems"):
        return str(schema["$comment"])
    match error.validator:
        case "enum":
            return "one of " + ", ".join(str(one) for one in value if one is not None)
        case "const":
            return str(value)
        case "type":
            return " or ".join(_TYPES[one] for one in ([value] if isinstance(value, str) else value))
        case "minimum":
            return f"at least {value}"
        case "maximum":
            return f"at most {value}"
        case "minItems":
            return f"a list of at least {value}"
        case "maxItems":
            return f"a list of at most {value}"
        case "maxLength":
            return f"at most {value} characters"
        case _:
            return str(schema.get("description", value))
