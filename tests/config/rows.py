"""How a field stands in docs/CONFIGURATION.md."""

from __future__ import annotations

from node.config import Field, NetworkConfig


def documented_row(field: Field) -> str:
    """The row of the table; run `python -m tests.config.rows` for all of them."""
    default = getattr(NetworkConfig(), field.name)
    match default:
        case _ if field.derived:
            text = f"`{field.derived}`" if "port" in field.derived.lower() else field.derived
        case bool():
            text = str(default).lower()
        case tuple() | "":
            text = "empty"
        case _:
            text = f"`{default}`"
    return f"| `{field.name}` | {text} | {field.kind.allowed} | {field.help} |"


if __name__ == "__main__":
    from node.config import FIELDS

    print("\n".join(documented_row(field) for field in FIELDS.values()))  # noqa: T201 - a tool for the terminal
