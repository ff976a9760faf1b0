"""How faults reach a person: one line, a code, and a traceback only for what is our mistake."""

import os
import re
import signal
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from gossip.errors import ConfigError, SensorError, StateError
from node import cli
from node.config.flags import overridden
from node.config.settings import Settings
from node.status.service import fetch
from tests.node.processes import LOOPBACK, PATIENCE_S, ROOT
from topologies.spec import KINDS

FAULT = SensorError("eve.json holds no flow")


def ended(error, capsys):
    """Exit code and standard error of a command that raises this."""

    @click.command()
    def broken():
        raise error

    before = cli.cli
    cli.cli = broken
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main()
    finally:
        cli.cli = before
    return caught.value.code, capsys.readouterr().err.lstrip()  # click ends the line of "^C"


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["hedgerow"])


@pytest.mark.parametrize(
    "error",
    [
        FAULT,
        BaseExceptionGroup("outer", [FAULT]),
        BaseExceptionGroup("outer", [BaseExceptionGroup("inner", [FAULT])]),
        BaseExceptionGroup("outer", [FAULT, StateError("second")]),
    ],
)
def test_an_expected_fault_is_one_line_however_deep(error, capsys):
    assert ended(error, capsys) == (1, "hedgerow: eve.json holds no flow\n")


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        BaseExceptionGroup("outer", [KeyboardInterrupt()]),
        BaseExceptionGroup(
            "outer", [ConfigError("x"), BaseExceptionGroup("", [KeyboardInterrupt()])]
        ),
    ],
)
def test_an_interrupt_is_no_fault(error, capsys):
    assert ended(error, capsys) == (130, "hedgerow: interrupted\n")


@pytest.mark.parametrize(
    "error", [BaseExceptionGroup("", [ZeroDivisionError()]), ZeroDivisionError()]
)
def test_a_mistake_of_ours_is_not_hidden(error, capsys):
    with pytest.raises((ZeroDivisionError, BaseExceptionGroup)):
        ended(error, capsys)


def test_a_mistake_beside_a_fault_is_not_hidden(capsys):
    with pytest.raises(BaseExceptionGroup):
        ended(BaseExceptionGroup("", [FAULT, ZeroDivisionError()]), capsys)


def test_a_flag_names_a_sensor_that_is_no_file():
    texts = ("netflow:127.0.0.1:2055", "interface:eth0", "json:-", "suricata:-", "-")
    made = overridden(Settings.defaults(), texts[:3]).sensors
    assert [(s.kind, s.place) for s in made] == [
        ("netflow", "127.0.0.1:2055"),
        ("interface", "eth0"),
        ("json", "-"),
    ]
    for text in texts[3:]:
        assert overridden(Settings.defaults(), (text,)).sensors[0].standard_input


def test_flags_override_the_sensors_of_a_file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text('[[sensor]]\npath = "a.json"\n[[sensor]]\npath = "b.log"\nkind = "zeek"\n')
    texts = ("state_dir", "name", "psk_file", "budget", "cycle", "journal", "log_level")
    unset = dict.fromkeys(texts) | dict.fromkeys(("listen", "announce", "bootstrap"), ())
    made = overridden(Settings.load(path), (), no_labels=True, read_once=True, **unset)
    found = [(s.path.name, s.kind, s.follow, s.labels) for s in made.sensors]
    assert found == [("a.json", "auto", False, False), ("b.log", "zeek", False, False)]
    made = overridden(Settings.defaults(), ("zeek:x:y.log", "z.json"), **unset)
    found = [(s.path.name, s.kind, s.follow, s.labels) for s in made.sensors]
    assert found == [("x:y.log", "zeek", True, True), ("z.json", "auto", True, True)]


@pytest.mark.parametrize(
    ("sensor", "said"),
    [
        ("suricta:/x", "'suricta' is not a kind, did you mean 'suricata'?; use one of suricata, z"),
        ("Zeek:/x", "'Zeek' is not a kind, did you mean 'zeek'?"),
        (
            "bro:x.log",
            "'bro' is not a kind; use one of suricata, zeek, ipfix, json, netflow, pcap",
        ),
        ("suricata:", "names no log; write suricata:PATH"),
        ("netflow:", "names no port; write netflow:127.0.0.1:2055"),
        ("interface:", "names no interface; write interface:eth0"),
    ],
)
def test_a_mistyped_kind_of_sensor_is_not_taken_for_a_path(sensor, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        overridden(Settings.defaults(), (sensor,))
    assert str(caught.value).startswith(f"--sensor {sensor!r}")


def test_a_log_with_a_colon_in_its_name_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eve:1.json").write_text("")
    made = overridden(Settings.defaults(), ("eve:1.json", "./later:1.json", "auto:eve:2.json"))
    names = [sensor.path.name for sensor in made.sensors]
    assert names == ["eve:1.json", "later:1.json", "eve:2.json"]


def test_a_reader_that_looks_away_stops_no_node(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    up = ["up", "--listen", LOOPBACK, "--state-dir", str(tmp_path)]
    command = [sys.executable, "-m", "node", *up]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True
    ) as node:
        os.close(writing)
        try:
            said = node.stderr.readline() + node.stderr.readline()
            assert "no sensor" in said
            assert "listening" in said
            assert fetch(tmp_path / "status.sock")["state"] == "running"
            node.send_signal(signal.SIGTERM)
            _, rest = node.communicate(timeout=PATIENCE_S)
        finally:
            node.kill()
    assert node.returncode == 0
    assert [line for line in rest.splitlines() if not line.startswith("{")] == []


def test_output_that_nobody_reads_is_no_traceback():
    command = f"{sys.executable} -m node config | true"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, check=False)
    assert done.stderr == b""


def test_a_terminal_that_does_not_know_every_character_is_no_traceback():
    command = [sys.executable, "-m", "node", "join", "--help"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert done.stderr == b""
    assert b"12D3KooW?" in done.stdout


@pytest.mark.parametrize(
    "command", [["topology", "ring:5"], ["simulate", "scenario.toml"], ["demo", "--out", "demo"]]
)
def test_a_negative_seed_is_refused_in_the_same_words_everywhere(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenario.toml").write_text('[mesh]\npeers = 2\nduration = "1 s"\n')
    done = CliRunner().invoke(cli.cli, [*command, "--seed", "-1"])
    assert isinstance(done.exception, ConfigError)
    assert "seed is -1; it must be 0 or more" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["scenario.toml"]


def test_the_help_of_topology_names_every_kind() -> None:
    shown = CliRunner().invoke(cli.cli, ["topology", "--help"])
    assert shown.exit_code == 0
    for kind in KINDS.values():
        assert kind.example in shown.output
