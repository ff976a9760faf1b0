"""HTML as values. What is not made by `el` is text and is escaped: there is no other way in."""

from collections.abc import Iterable
from html import escape

from node.logs import printable

VOID = frozenset({"br", "img", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already. Only this module makes any."""

    __slots__ = ()


Node = str | int | float | None | Iterable["Node"]
"""What may stand inside an element: text, numbers, markup, nothing, or several of these."""


def text(value: object) -> Markup:
    """A value as text of a page: escaped, without control characters or tricks of direction."""
    return value if isinstance(value, Markup) else Markup(escape(printable(str(value))))


def join(*nodes: Node) -> Markup:
    """Nodes one after another."""
    return Markup("".join(_flat(nodes)))


def el(tag: str, *children: Node, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        tag: its name.
        children: what it holds; None is nothing.
        attributes: `class_` is written class, `hx_get` hx-get. True is a bare name; None and False
            leave it out. `viewBox` and the like keep their capitals.
    """
    said = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in VOID:
        return Markup(f"<{tag}{said}>")
    return Markup(f"<{tag}{said}>{join(*children)}</{tag}>")


def _flat(nodes: Iterable[Node]) -> Iterable[str]:
    for node in nodes:
        if node is None:
            continue
        if isinstance(node, str | int | float):
            yield text(node)
        else:
            yield from _flat(node)
