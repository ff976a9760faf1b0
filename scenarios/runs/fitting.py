"""Tables on terminals of any width: text may be cut into lines, figures stay whole."""

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table

CHARS_MAX = 2_000
"""Of a table's line in a file: 20 columns and their differences take 600."""

TEXT_CHARS = 6
"""Text may be folded to columns this narrow. Our choice: some of a word can still be read."""


def show(console: Console, table: Table) -> None:
    """Print a table; in a file or a pipe, where nobody can widen the window, as wide as it is.

    On a terminal that is too narrow, cells of several figures take a line for each, and then text
    is folded. Where even that is too wide, lines go on beyond the edge, where the terminal wraps
    them: a figure that lacks its end would be another figure.
    """
    needed = console.measure(table, options=console.options.update(max_width=CHARS_MAX)).maximum
    before = console.width
    try:
        if needed > before:
            console.width = _fit(console, table, needed) if console.is_terminal else needed
        console.print(table)
    finally:
        console.width = before


def _fit(console: Console, table: Table, needed: int) -> int:
    """Give each column a width for this console; gives the width that the table then needs."""
    ranges = [_range(console, column) for column in table.columns]
    widths = [least for least, _ in ranges]
    beside = needed - sum(most for _, most in ranges)
    left = console.width - beside - sum(widths)
    for index, (least, most) in enumerate(ranges):
        more = max(0, min(left, most - least))
        widths[index] += more
        left -= more
    for column, width in zip(table.columns, widths, strict=True):
        column.width, column.no_wrap, column.overflow = width, False, "fold"
    return max(console.width, beside + sum(widths))


def _range(console: Console, column: Column) -> tuple[int, int]:
    """The least width that leaves figures whole, and the most that is of use."""
    head, *cells = (console.render_str(str(cell)).plain for cell in (column.header, *column.cells))
    text = min(TEXT_CHARS, _longest(head, *cells))
    least = max(text, _longest(*cells)) if column.justify == "right" else text
    return least, max(map(cell_len, (head, *cells)))


def _longest(*cells: str) -> int:
    return max((cell_len(word) for cell in cells for word in cell.split()), default=0)
