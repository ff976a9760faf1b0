"""Strict tables: each mistake gives one ConfigError that names file, key and remedy."""

import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError
from node.config import quantities, tables
from node.config.annotations import Check, Duration, Example, Key, Range, Share, Size
from node.config.reference import describe, example


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value


@dataclass(frozen=True, slots=True)
class Inner:
    path: Annotated[Path, Example('"a.log"')]
    """Where."""

    colour: Colour = Colour.RED
    """Which."""


@dataclass(frozen=True, slots=True)
class Deep:
    low: int = 1
    """At most `high`."""

    high: int = 2
    """At least `low`."""

    folder: Path = Path("here")
    """A folder."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ConfigError(f"low = {self.low} is above high = {self.high}; swap them")


@dataclass(frozen=True, slots=True)
class Sample:
    cycle_us: Annotated[Duration, Range(1_000, 60_000_000)] = 10_000_000
    """A period
    over two lines."""

    size_bytes: Size = 4096
    """A size."""

    budget: Annotated[Share, Range(0.0, 0.5)] = 0.005
    """A share."""

    count: Annotated[int, Range(1, 9), Check(even)] = 2
    """A count."""

    ratio: float = 0.5
    """A ratio."""

    on: bool = True
    """A switch."""

    mode: Literal["fast", "slow"] = "fast"
    """A mode."""

    names: tuple[Annotated[str, Range(1, 5)], ...] = ()
    """Names."""

    extra: Annotated[dict[str, int], Range(0, 3)] = field(default_factory=dict)
    """Free keys."""

    note: Path | None = None
    """A note."""

    deep: Deep = field(default_factory=Deep)
    inner: Annotated[tuple[Inner, ...], Key("item")] = ()


def read(text: str) -> Sample:
    return tables.from_table(Sample, tomllib.loads(text), "f.toml", folder=Path("/base"))


def test_every_kind_of_value() -> None:
    sample = read("""
        cycle = "250 ms"
        size = "4 MiB"
        budget = "1.5 %"
        count = 4
        ratio = 1
        on = false
        mode = "slow"
        names = ["a", "b"]
        extra = { x = 1 }
        note = "n.txt"
        deep = { low = 0 }
        [[item]]
        path = "/abs"
        colour = "green"
        [[item]]
        path = "rel"
    """)
    assert sample == Sample(
        cycle_us=250_000,
        size_bytes=4 * 2**20,
        budget=0.015,
        count=4,
        ratio=1.0,
        on=False,
        mode="slow",
        names=("a", "b"),
        extra={"x": 1},
        note=Path("/base/n.txt"),
        deep=Deep(low=0, folder=Path("/base/here")),
        inner=(Inner(Path("/abs"), Colour.GREEN), Inner(Path("/base/rel"))),
    )
    assert isinstance(sample.ratio, float)


def test_plain_numbers_for_sizes_and_shares() -> None:
    assert read("size = 12\nbudget = 0.25") == Sample(
        size_bytes=12, budget=0.25, deep=Deep(folder=Path("/base/here"))
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cylce = 1", "f.toml: cylce: unknown key, did you mean 'cycle'?"),
        ("qqq = 1", "f.toml: qqq: unknown key; keys here are cycle, size"),
        ("[deep]\nhihg = 1", "f.toml: deep.hihg: unknown key, did you mean 'high'?"),
        ("cycle = 10", "cycle: 10 stands where a duration such as"),
        ('cycle = "10 parsecs"', "cycle: '10 parsecs' is not understood"),
        ('cycle = "10 kB"', "cycle: '10 kB' has no unit that fits; use one of us, ms, s"),
        ('cycle = "0.5 us"', "not a whole number of microseconds"),
        ('cycle = "2 min"', "cycle: 2 min is out of range; give a value from 1 ms to 1 min"),
        ('size = "4 s"', "size: '4 s' has no unit that fits"),
        ("size = true", "size: true stands where a size"),
        ('budget = "60 %"', "budget: 60 % is out of range; give a value from 0 % to 50 %"),
        ("budget = nan", "budget: nan stands where a share"),
        ('budget = "1 s"', "write a share such as"),
        ("count = 1.0", "count: 1.0 stands where a whole number is needed"),
        ("count = true", "count: true stands where a whole number is needed"),
        ("count = 10", "count: 10 is out of range; give a value from 1 to 9"),
        ("count = 3", "count: 3 is odd"),
        ("ratio = inf", "ratio: inf is not a number to work with"),
        ("ratio = '1'", "ratio: '1' stands where a number is needed"),
        ("ratio = false", "ratio: false stands where a number is needed"),
        ("on = 1", "on: 1 stands where true or false is needed"),
        (
            "mode = 'fats'",
            "mode: 'fats' is not a choice, did you mean 'fast'?; use one of \"fast\"",
        ),
        ("mode = []", "mode: an array is not a choice"),
        ("names = 'a'", "names: 'a' stands where an array in brackets is needed"),
        ("names = ['a', 3]", "names[2]: 3 stands where text in quotes is needed"),
        ("names = ['abcdef']", "names[1]: 6 characters; give from 1 to 5"),
        ("extra = 3", "extra: 3 stands where a table is needed"),
        ("extra = { x = 'y' }", "extra.x: 'y' stands where a whole number"),
        ("deep = 3", "deep: 3 stands where a table is needed"),
        ("deep = { low = 3 }", "f.toml: deep: low = 3 is above high = 2; swap them"),
        ("item = 3", "item: 3 stands where [[…]] tables is needed"),
        (
            "[[item]]",
            'item[1].path: missing; it has no default, so give it, such as path = "a.log"',
        ),
        ("[[item]]\npath='a'\ncolour='blue'", "item[1].colour: 'blue' is not a choice"),
        ("note = 3", "note: 3 stands where text"),
        ('note = "a\\u0000b"', "holds a NUL"),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("f.toml: ")
    assert "\n" not in str(caught.value)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    with pytest.raises(ConfigError, match=r"g\.toml: cannot be read \(No such file"):
        tables.load(Sample, path)
    path.write_text("count = 2\nratio = = 3\n")
    with pytest.raises(ConfigError, match=r"g\.toml, line 2, column 9: not TOML: Invalid value"):
        tables.load(Sample, path)
    path.write_text("count = ")
    with pytest.raises(ConfigError, match=r"g\.toml, .*: not TOML: Invalid value"):
        tables.load(Sample, path)
    path.write_bytes(b"count = 2\n# \xff\n")
    with pytest.raises(ConfigError, match=r"line 2: not UTF-8"):
        tables.load(Sample, path)
    path.write_bytes(b"a = " + b"[" * 100_000)
    with pytest.raises(ConfigError, match=r"nested too deeply"):
        tables.load(Sample, path)
    path.write_bytes(b"#" * (tables.FILE_BYTES_MAX + 1))
    with pytest.raises(ConfigError, match=r"larger than 4 MiB"):
        tables.load(Sample, path)
    path.write_text('note = "n"')
    assert tables.load(Sample, path).note == tmp_path / "n"


def test_override() -> None:
    base = read("")
    changed = tables.override(
        base, {"cycle": "5 s", "deep.high": 7, "names": ["x"], "note": "n"}, "command line"
    )
    assert changed.cycle_us == 5_000_000
    assert changed.deep == Deep(1, 7, Path("/base/here"))
    assert changed.names == ("x",)
    assert changed.note == Path.cwd() / "n"
    assert base.cycle_us == 10_000_000
    for key, value, expected in [
        ("deep.high", 0, "command line: deep: low = 1 is above high = 0"),
        ("deep.hihg", 0, "command line: deep.hihg: unknown key, did you mean 'high'?"),
        ("cycle.x", 0, "command line: cycle: is no table, so cycle.x does not exist"),
        ("count", "2", "command line: count: '2' stands where a whole number"),
    ]:
        with pytest.raises(ConfigError) as caught:
            tables.override(base, {key: value}, "command line")
        assert expected in str(caught.value)


def test_reference() -> None:
    keys = {key.key: key for key in describe(Sample)}
    assert list(keys) == [
        *("cycle", "size", "budget", "count", "ratio", "on", "mode", "names", "extra", "note"),
        *("deep.low", "deep.high", "deep.folder", "item[].path", "item[].colour"),
    ]
    assert keys["cycle"].doc == "A period over two lines."
    assert keys["cycle"].type == "duration, 1 ms to 1 min"
    assert keys["cycle"].default == '"10 s"'
    assert keys["note"].default == "unset"
    assert keys["item[].path"].default is None
    assert keys["item[].colour"].type == '"red" | "green"'
    assert keys["names"].type == "array of text, characters 1 to 5"


def test_example_gives_the_defaults() -> None:
    text = example(Sample, "A heading.")
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line or "[[" in line else line
        for line in text.splitlines()
        if "unset" not in line and "…" not in line
    )
    built = read(uncommented)
    assert built.inner == (Inner(Path("/base/a.log")),)
    assert tables.override(built, {"item": []}, "test") == read("")
    assert read(text) == read("")


@given(st.integers(0, 10**15))
def test_quantities_round_trip(value: int) -> None:
    assert quantities.parse_duration_us(quantities.format_duration(value)) == value
    assert quantities.parse_size_bytes(quantities.format_size(value)) == value


@given(st.text(max_size=30))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parse in (
        quantities.parse_duration_us,
        quantities.parse_size_bytes,
        quantities.parse_share,
    ):
        with suppress(ValueError):
            assert parse(text) >= 0


TOML_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["low", "path", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["cycle", "size", "names", "deep", "item", "zz"]), TOML_VALUES)
)
def test_any_table_loads_or_is_refused(mapping: dict[str, Any]) -> None:
    loaded: object
    try:
        loaded = tables.from_table(Sample, mapping, "f.toml")
    except ConfigError as error:
        loaded = str(error)[:8]
    assert loaded == "f.toml: " or isinstance(loaded, Sample)
