"""`hedgerow init`: a file that holds what was said, or none."""

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gossip.errors import ConfigError
from node.cli import service
from node.config.settings import Settings
from node.service.setting_up import Answers, text_of, usual_sensors

PEER = "/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp"


def init(*arguments: object, answers: str = "") -> str:
    ran = CliRunner().invoke(
        service.init, [str(each) for each in arguments], input=answers, catch_exceptions=False
    )
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_without_answers_the_defaults_hold(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text_of(Answers(), file))
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert Settings.load(file) == Settings.load(empty)
    assert tomllib.loads(file.read_text()) == {}, "only what differs"


def test_flags_become_a_file(tmp_path: Path) -> None:
    file = tmp_path / "etc" / "gateway.toml"
    flags = ["--name", 'ward "3"', "--sensor", f"zeek:{tmp_path / 'conn.log'}", "--bootstrap", PEER]
    flags += ["--state-dir", "state", "--share-antigens", "--budget", "1%"]
    flags += ["--dashboard", "127.0.0.1:0", "--alerts", tmp_path / "alerts"]
    init(file, "--yes", *flags)
    found = Settings.load(file)
    assert (found.node.name, found.node.bootstrap) == ('ward "3"', (PEER,))
    assert found.node.state_dir == Path("state").absolute(), "a flag is taken from here"
    assert [(s.kind, s.path) for s in found.sensors] == [("zeek", tmp_path / "conn.log")]
    assert (found.antigens.share, found.detector.budget) == (True, 0.01)
    assert (found.dashboard.listen, found.alerts_path) == ("127.0.0.1:0", tmp_path / "alerts")


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("mine")
    with pytest.raises(ConfigError, match="--force"):
        init(file, "--yes")
    assert file.read_text() == "mine"
    init(file, "--yes", "--force", "--name", "x")
    assert Settings.load(file).node.name == "x"
    assert list(tmp_path.iterdir()) == [file], "nothing is left beside it"


def test_a_wrong_answer_leaves_no_file(tmp_path: Path) -> None:
    for flags, said in (
        (["--budget", "many"], "detector.budget"),
        (["--bootstrap", "nowhere"], "node.bootstrap"),
        (["--sensor", "snort:x"], "snort"),
        (["--alerts", "/x/\udcff"], "TOML"),
    ):
        with pytest.raises(ConfigError, match=said):
            init(tmp_path / "gateway.toml", "--yes", *flags)
    assert not list(tmp_path.iterdir())


def test_where_nobody_can_answer_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--yes"):
        init(tmp_path / "gateway.toml")


def test_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_somebody_is_there", lambda: True)
    monkeypatch.setattr("node.service.setting_up.usual_sensors", lambda: ("zeek:/x/conn.log",))
    file = tmp_path / "gateway.toml"
    said = init(file, answers=f"ward\n\n{PEER}\ny\n\ny\n\n")
    assert "Found: zeek:/x/conn.log" in said
    found = Settings.load(file)
    assert (found.node.name, found.node.bootstrap) == ("ward", (PEER,))
    assert [str(s.path) for s in found.sensors] == ["/x/conn.log"]
    assert (found.antigens.share, found.dashboard.listen) == (True, "127.0.0.1:8440")


def test_sensors_are_found_where_they_usually_log(tmp_path: Path) -> None:
    for path in ("var/log/suricata/eve.json", "opt/zeek/logs/current/conn.log"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    assert usual_sensors(tmp_path) == (
        f"suricata:{tmp_path}/var/log/suricata/eve.json",
        f"zeek:{tmp_path}/opt/zeek/logs/current/conn.log",
    )


@given(st.text(st.characters(codec="utf-8"), max_size=64))
def test_any_name_is_written_as_it_is_or_refused(name: str) -> None:
    try:
        text = text_of(Answers(name=name), Path("/x/gateway.toml"))
    except ConfigError:
        assert not name.isprintable()
    else:
        assert tomllib.loads(text).get("node", {}).get("name", "") == name
