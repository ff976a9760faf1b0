"""The scenarios that come with Hedgerow, by name."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from gossip.errors import ConfigError
from scenarios.spec.scenario import read

FOLDER = Path(__file__).parents[1] / "library"


@dataclass(frozen=True, slots=True)
class Entry:
    """One scenario of the library.

    Args:
        name: what `hedgerow simulate NAME` takes.
        path: its file.
        title: as the file gives it.
        shows: the first sentence of the comment that the file opens with.
    """

    name: str
    path: Path
    title: str
    shows: str


def entries() -> tuple[Entry, ...]:
    """The whole library, by name."""
    return tuple(
        Entry(path.stem, path, read(path).title, first_sentence(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.toml"))
    )


def find(given: Path) -> Path:
    """The file that was given; where there is none of a bare name, the library's.

    Raises:
        ConfigError: neither there is. A path that could be no name is left for who reads it to
            complain of.
    """
    try:
        if given.exists() or len(given.parts) != 1 or given.suffix:
            return given
        path = FOLDER / f"{given.name}.toml"
        if path.is_file():
            return path
    except OSError:  # such as a name too long for the file system
        return given
    near = get_close_matches(given.name, [path.stem for path in FOLDER.glob("*.toml")], n=1)
    guess = f", did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"{given}: no such file, and no scenario of the library{guess}; `hedgerow scenarios` lists "
        "those"
    )


def first_sentence(text: str) -> str:
    """The first sentence of a file's opening comment, in one line."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").strip())
    words = " ".join(lines).split()
    for number, word in enumerate(words):
        if word.endswith((".", ":", "!")):
            return " ".join(words[: number + 1])
    return " ".join(words)
