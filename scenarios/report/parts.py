"""Pieces of HTML. What a user wrote is escaped by whoever puts it in: cells are HTML."""

from collections.abc import Sequence
from html import escape


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A table whose first `left` columns hold words and the others numbers. Cells are HTML."""

    def row(tag: str, cells: Sequence[str]) -> str:
        marked = (
            f"<{tag}>{cell}</{tag}>" if i < left else f'<{tag} class="n">{cell}</{tag}>'
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(marked)}</tr>"

    body = "".join(row("td", cells) for cells in rows)
    return f"<table><thead>{row('th', headings)}</thead><tbody>{body}</tbody></table>"


def boxed(inner: str) -> str:
    """A table that scrolls inside its box where the window is narrow."""
    return f'<div class="table" tabindex="0">{inner}</div>'


def folded(summary: str, inner: str) -> str:
    """Something long that is shown on demand; `summary` is plain text."""
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"


def paragraph(text: str, kind: str = "") -> str:
    """Plain text as a paragraph."""
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(text)}</p>"


def listed(lines: Sequence[str]) -> str:
    """Plain texts as a list."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def code(text: str) -> str:
    """Plain text as it would be typed."""
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def verdict(good: bool, words: tuple[str, str]) -> str:
    """One of two words, coloured."""
    return f'<span class="{"good" if good else "bad"}">{words[0] if good else words[1]}</span>'
