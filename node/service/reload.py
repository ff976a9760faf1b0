"""SIGHUP: the settings are read again, and what can change while the node runs is changed.

Whatever cannot is named, in the log and in the status, until the node is started again. A file that
is wrong, or asks for what cannot be had, changes nothing at all.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from gossip.errors import ConfigError, LocalError
from node.config.annotations import keys_of
from node.config.settings import Settings
from node.logs import get_logger
from node.service.health import Health

Apply = Callable[[Settings], None]
"""Go by these settings; or raise LocalError and go on as before."""

_log = get_logger("service")


def differing(old: Any, new: Any, prefix: str = "") -> dict[str, tuple[str, ...]]:
    """Dotted keys whose values differ, each with the fields that lead to it."""
    found: dict[str, tuple[str, ...]] = {}
    for key, (field, _) in keys_of(type(old)).items():
        before, after = getattr(old, field.name), getattr(new, field.name)
        if is_dataclass(before) and not isinstance(before, type):
            inner = differing(before, after, f"{prefix}{key}.")
            found |= {dotted: (field.name, *names) for dotted, names in inner.items()}
        elif before != after:
            found[f"{prefix}{key}"] = (field.name,)
    return found


class Reloader:
    """Takes up changed settings.

    Args:
        settings: that the node runs with.
        appliers: by dotted key, or the name of a whole table; called in this order, each at most
            once for a reload, with all settings as they are to be.
        health: told of the outcome.

    Attributes:
        settings: that the node goes by now.
    """

    def __init__(self, settings: Settings, appliers: dict[str, Apply], health: Health) -> None:
        self.settings = settings
        self._appliers = appliers
        self._health = health

    def reload(self, again: Callable[[], Settings]) -> str:
        """Read the settings with `again` and apply them, all or none; why not, else empty.

        Never raises LocalError.
        """
        try:
            wanted = again()
            changed = differing(self.settings, wanted)
            live = {key: names for key, names in changed.items() if self._applier(key)}
            effective = _merged(self.settings, wanted, live)
            self._apply(effective, live)
        except LocalError as error:
            self._health.reload_refused = str(error)
            _log.error("the settings were not reloaded; going on as before", reason=str(error))
            return str(error)
        self.settings = effective
        waiting = tuple(key for key in changed if key not in live)
        self._health.reload_refused, self._health.restart_for = "", waiting
        self._health.reloads += 1
        _log.info("settings reloaded", changed=list(live))
        if waiting:
            _log.warning("some settings are used after a restart only", keys=list(waiting))
        return ""

    def _applier(self, key: str) -> Apply | None:
        return self._appliers.get(key) or self._appliers.get(key.partition(".")[0])

    def _apply(self, effective: Settings, live: dict[str, tuple[str, ...]]) -> None:
        wanted = {self._applier(key) for key in live}
        done: list[Apply] = []
        for apply in dict.fromkeys(self._appliers.values()):  # several keys may have one
            if apply not in wanted:
                continue
            try:
                apply(effective)
            except LocalError:
                for undo in reversed(done):
                    undo(self.settings)
                raise
            done.append(apply)


def _merged(old: Settings, new: Settings, live: dict[str, tuple[str, ...]]) -> Settings:
    """The old settings with some of the new ones.

    Raises:
        ConfigError: they contradict a setting that stays as it was until a restart.
    """
    tables: dict[str, Any] = {}
    for names in live.values():
        table = names[0]
        if len(names) == 1:
            tables[table] = getattr(new, table)
            continue
        before = tables.get(table, {})
        tables[table] = before | {names[1]: getattr(getattr(new, table), names[1])}
    try:
        values = {
            name: replace(getattr(old, name), **value) if isinstance(value, dict) else value
            for name, value in tables.items()
        }
        kept = {each.name: getattr(old, each.name) for each in fields(old)}
        return Settings(**(kept | values))
    except ConfigError as error:
        raise ConfigError(
            f"{error}; as this takes more than a reload, restart the node to use the new settings"
        ) from error
