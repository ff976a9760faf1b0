"""`[sweep]`: lists of values for `hedgerow sweep`."""

from typing import Annotated, Any

from node.config.annotations import Check


def _lists(table: dict[str, Any]) -> dict[str, list[Any]]:
    """Dotted key to list; `learning.fanout = [1, 2]` below `[sweep]` is a table to TOML."""
    found: dict[str, list[Any]] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": below for inner, below in _lists(value).items()}
        elif isinstance(value, list):
            found[key] = value
        else:
            raise ValueError(  # noqa: TRY004 - as a Check says what is wrong
                f"{key} holds no list; write a key of the scenario and the values it takes, such "
                "as learning.fanout = [1, 2, 4]"
            )
    return found


Sweep = Annotated[dict[str, Any], Check(_lists)]
