"""`[sweep]`: lists of values for `hedgerow sweep`."""

from typing import Annotated, Any

from node.config.annotations import Check


def _lists(table: dict[str, Any], above: str = "") -> dict[str, list[Any]]:
    """Dotted key to list; `learning.fanout = [1, 2]` below `[sweep]` is a table to TOML."""
    found: dict[str, list[Any]] = {}
    for key, value in table.items():
        name = above + key
        if isinstance(value, dict):
            found |= _lists(value, f"{name}.")
        elif isinstance(value, list):
            found[name] = value
        else:
            raise ValueError(  # noqa: TRY004 - as a Check says what is wrong
                f"{name} holds no list; write a key of the scenario and the values it takes, such "
                "as learning.fanout = [1, 2, 4]"
            )
    return found


Sweep = Annotated[dict[str, Any], Check(_lists)]
