"""`hedgerow incidents`, `verdict` and `suppress test`, as a person types them."""

import json
from functools import partial

import pytest
import trio
from click.testing import CliRunner

from gossip.errors import ConfigError, StateError
from node.alerts.alerter import Alerter
from node.cli import cli
from node.config.settings import Settings
from node.control import requests
from node.control.desk import Desk
from node.control.documents import ContributorDocument
from node.status import service
from node.verdicts.book import Book
from tests.node.test_alerter import SERVING, START_S, anomalies
from tests.node.traffic import ATTACKER
from tests.unit.test_status import FULL

RULE = f'[[rule]]\nsource = "{ATTACKER}"\nuntil = "never"\nreason = "ours"\nwho = "ana"\n'


@pytest.fixture
def ask(tmp_path):
    """Run a command against a node that had one scan and one flood."""

    def asked(*arguments, twice=None):
        async def main():
            settings = Settings.defaults().with_overrides({"node.state_dir": str(tmp_path)})
            alerter = Alerter(settings, "kitchen")
            alerter.contributors = lambda family: (
                ContributorDocument("own", "", family, 0.75, evidence=12),
                ContributorDocument("antigen", "ab" * 8, family, 0.25, "12D3KooWfar", 40),
                ContributorDocument("neighbour", "12D3KooWnear", "", 0.5),
            )
            await trio.lowlevel.checkpoint()
            alerter.take(anomalies(5), SERVING, START_S)
            alerter.take(anomalies(5, first=50, family="dos"), SERVING, START_S)
            desk = Desk(lambda: FULL, alerter, Book(tmp_path))
            socket = tmp_path / "s"
            async with trio.open_nursery() as nursery:
                answer = partial(requests.answer, desk)
                await nursery.start(partial(service.serve, socket, desk.status, answer))
                run = partial(CliRunner().invoke, cli, [*arguments, "--socket", str(socket)])
                done = await trio.to_thread.run_sync(run)
                nursery.cancel_scope.cancel()
            alerter.close()
            return done

        return trio.run(main)

    return asked


def test_incidents_are_listed_and_explained(ask):
    found = json.loads(ask("incidents", "--json").output)
    assert [each["family"] for each in found] == ["dos", "scan"]
    listed = ask("incidents").output
    for part in ("2 known, 2 open", found[0]["key"], ATTACKER, "dos", "open"):
        assert part in listed
    told = ask("incidents", found[1]["key"][:6]).output
    for part in (
        *(found[1]["key"], "looks like", "scan", "9, over a threshold of 4.5", "feature4"),
        *("0 to 1", "this gateway", "75.00 %", "of the rows of scan", "12D3KooWfar"),
        *("neighbour's models", "of the merged model", "1:"),
    ):
        assert part in told
    assert json.loads(ask("incidents", found[1]["key"], "--json").output) == found[1]
    wrong = ask("incidents", "zz")
    assert isinstance(wrong.exception, ConfigError)


def test_a_verdict_is_given_changed_and_taken_back(ask):
    key = json.loads(ask("incidents", "--json").output)[0]["key"]
    said = ask("verdict", key, "exploit", "--note", "why").output
    assert "none of its flows is remembered" in said, "these anomalies came without features"
    assert json.loads(ask("incidents", key, "--json").output)["note"] == "why"
    assert "benign" in ask("verdict", key, "benign").output
    assert "is taken back" in ask("verdict", key, "none").output
    assert isinstance(ask("verdict", key, "none").exception, ConfigError)
    assert isinstance(ask("verdict", "", "scan").exception, ConfigError)
    assert isinstance(ask("verdict", key, "BENIGN").exception, ConfigError)


def test_rules_are_tried_on_incidents_and_on_lines_of_alerts(ask, tmp_path):
    (tmp_path / "rules.toml").write_text(RULE + RULE.replace("ours", "scans") + 'family = "scan"\n')
    rules = ["suppress", "test", "--rules", str(tmp_path / "rules.toml")]
    trials = json.loads(ask(*rules, "--json").output)
    assert [(trial["matching"], trial["rule"]) for trial in trials] == [([1], 1), ([1, 2], 1)]
    lines = tmp_path / "alerts.jsonl"
    lines.write_text(lines.read_text() + '{"event_type":"flow"}\nnot json\n')
    for what in ([], [trials[0]["subject"]["incident"][:6]], [str(lines)]):
        shown = ask(*rules, *what).output
        assert "held back by rule 1" in shown
    assert json.loads(ask(*rules, str(lines), "--json").output)[0]["rule"] == 1
    (tmp_path / "rules.toml").write_text(RULE.replace("never", "soon"))
    wrong = ask(*rules)
    assert "line 1" in str(wrong.exception)
    (tmp_path / "rules.toml").write_text(RULE)
    assert "is no file, and no incident" in str(ask(*rules, "zz").exception)
    assert "there are no rules" in str(ask("suppress", "test").exception)


def test_a_node_that_reads_no_requests_is_told_apart(tmp_path):
    async def main():
        async with trio.open_nursery() as nursery:
            await nursery.start(service.serve, tmp_path / "s", lambda: FULL)
            with pytest.raises(StateError, match="Restart the node"):
                await trio.to_thread.run_sync(requests.incidents, tmp_path / "s")
            nursery.cancel_scope.cancel()

    trio.run(main)
