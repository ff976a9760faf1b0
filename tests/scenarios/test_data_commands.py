"""`hedgerow data`, and the page that describes the sets."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gossip.errors import ConfigError
from node.cli.data import data
from scenarios.data import catalogue
from scenarios.data.sources.load import DATA_SETS
from tests.scenarios.published import UNSW_SMALL, line, write

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


def run(*words):
    done = CliRunner().invoke(data, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def plain(text):
    return text.replace("\\", "")


def test_the_list_names_every_set_with_its_licence():
    assert [each["name"] for each in json.loads(run("list", "--json"))] == list(DATA_SETS)
    shown = run("list")
    assert all(name in shown for name in DATA_SETS)


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_page_tells_of_each_set_what_the_code_knows(name):
    about = DATA_SETS[name].about
    section = re.split(r"(?m)^## ", plain(PAGE.read_text()))
    (own,) = [each for each in section if each.startswith(f"{about.title}\n")]
    for fact in (f'source = "{name}"', about.citation, about.home, about.layout):
        assert fact in own
    for download in about.downloads:
        assert download.url in own
    for column, reason in about.excluded.items():
        assert any(f"`{column}`" in row and reason in row for row in own.splitlines())
    row = next(each for each in section[0].splitlines() if each.startswith(f"| `{name}` |"))
    assert row == f"| `{name}` | {about.size} | {about.licence} | {about.tried or 'no'} |"


def test_a_set_behind_a_form_is_described_and_not_fetched(tmp_path, capsys):
    with pytest.raises(ConfigError, match="ton-iot lies behind a form"):
        catalogue.bring("ton-iot", tmp_path)
    said = capsys.readouterr().out
    assert DATA_SETS["ton-iot"].about.home in said
    assert "Network_dataset_1.csv" in said
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_set_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(ConfigError, match="did you mean ton-iot"):
        catalogue.bring("toniot", tmp_path)
    with pytest.raises(ConfigError, match="see `hedgerow data list`"):
        catalogue.bring("///", tmp_path)


def test_the_page_s_example_deals_its_rows_out(shared_data, tmp_path):
    text = PAGE.read_text().split("## An example")[1].split("```toml\n")[1].split("```")[0]
    folder = shared_data / "nslkdd"
    file = tmp_path / "example.toml"
    file.write_text(text.replace('"sets/nsl-kdd"', f'"{folder}"'))
    told = json.loads(run("show", file, "--json"))
    satan = told["families"].index("satan")
    assert [peer for peer, rows in enumerate(told["train"]) if rows[satan]] == [0, 1]
    assert all(rows[satan] for rows in told["test"])
    assert told["read"]["kept"] == 25_192


@pytest.fixture
def scenario(tmp_path):
    def row(number, family):
        fields = {"proto": "tcp", "service": "-", "state": "FIN", "sbytes": number}
        return line(UNSW_SMALL, attack_cat=family, **fields)

    rows = [row(number, "Normal") for number in range(1_000)]
    rows += [row(number, "Worms") for number in range(100)]
    rows += [row("many", "Worms")]
    write(tmp_path / "set" / "UNSW_NB15_training-set.csv", UNSW_SMALL, *rows)
    return write(
        tmp_path / "trial.toml",
        "[mesh]\npeers = 2\nduration = '1 min'\n[data]\nsource = 'unsw-nb15'\nfolder = 'set'",
    )


def test_show_tells_and_draws_who_holds_what_without_running(scenario, tmp_path):
    picture = tmp_path / "who.svg"
    shown = run("show", scenario, "--draw", picture)
    assert "1,100 of 1,101 rows in 1 files" in shown
    assert "1 bad rows left out, the first in UNSW_NB15_training-set.csv, line 1102" in shown
    assert picture.read_text().startswith("<?xml")
    told = json.loads(run("show", scenario, "--json"))
    assert told["read"]["bad"] == 1
    assert told["peers"] == 2
    benign = told["families"].index("benign")
    assert [peer[benign] for peer in told["train"]] == [200, 200]


def test_show_names_file_and_key_where_the_folder_lacks_the_set(scenario, tmp_path):
    (tmp_path / "set" / "UNSW_NB15_training-set.csv").unlink()
    said = rf"{scenario}: data.folder: .*set holds nothing of UNSW-NB15; found no files; expected"
    with pytest.raises(ConfigError, match=said):
        run("show", scenario)
