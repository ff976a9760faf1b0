"""Rewrite the parts of docs/ that are taken from the code: the settings and their example file."""

from pathlib import Path

from node.config import settings
from node.config.reference import markdown

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Leave the hand-written head of configuration.md as it is."""
    page = DOCS / "configuration.md"
    generated = markdown(settings.Settings)
    heading = generated.splitlines()[0]
    head, found, _ = page.read_text().partition(heading)
    if not found:
        raise SystemExit(f"{page}: no line {heading!r}, so it is unclear where to put the settings")
    page.write_text(head + generated)
    (DOCS / "gateway.example.toml").write_text(settings.example())


main()
