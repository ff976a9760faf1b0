"""netflume's templates, bounded for each exporter as well.

Whoever can send to the port can send templates. netflume bounds their number in all; this one also
bounds what one exporter holds, so that it pushes out no other's, and what one template may ask for:
with 16,000 fields of no length, one datagram of records would keep the decoder busy for minutes.
"""

from itertools import islice

from netflume import TemplateStore

TEMPLATES_MAX = 256
EXPORTER_TEMPLATES_MAX = 64
FIELDS_MAX = 128
"""Our choices. softflowd sends 5 templates of at most 20 fields; routers a few of up to 40."""

SAVED_MAX = 32
"""Templates kept over a restart. Our choice: 1.2 kB for softflowd's, 80 kB at worst."""

Field = tuple[str, str, int]
"""An element's name and kind in netflume's words, and its length."""

Saved = tuple[str, int, int, bool, list[Field]]
"""Exporter, observation domain, number, whether of options, and the fields."""


class BoundedTemplates(TemplateStore):
    """Templates by exporter, observation domain and number.

    Attributes:
        refused: templates that were not taken, for having too many fields or one of no length.
    """

    def __init__(self) -> None:
        super().__init__(max_templates=TEMPLATES_MAX, max_pending=TEMPLATES_MAX)  # type: ignore[no-untyped-call] # netflume's
        self.refused = 0

    def put(
        self, exporter: str, domain: int, tid: int, fields: list[Field], options: bool = False
    ) -> bool:
        """Record a template. Returns whether it is new or has changed."""
        if len(fields) > FIELDS_MAX or any(length == 0 for _, _, length in fields):
            self.refused += 1
            return False
        if (exporter, domain, tid) not in self.templates:
            own = [key for key in self.templates if key[0] == exporter]
            if len(own) >= EXPORTER_TEMPLATES_MAX:
                del self.templates[own[0]]  # its least recently used
        return bool(super().put(exporter, domain, tid, fields, options=options))  # type: ignore[no-untyped-call] # netflume's

    def saved(self) -> list[Saved]:
        """Those used last, for the next life: some exporters repeat theirs every ten minutes."""
        last = list(islice(reversed(self.templates.items()), SAVED_MAX))
        return [(*key, options, list(fields)) for key, (fields, options) in reversed(last)]

    def restore(self, saved: list[Saved]) -> None:
        """Take up what an earlier life saved."""
        for exporter, domain, number, options, fields in saved:
            self.put(exporter, domain, number, fields, options)
        self.take_events()  # type: ignore[no-untyped-call] # netflume's
