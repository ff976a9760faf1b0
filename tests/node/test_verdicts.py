"""An analyst's word: what it changes at once, in the next cycle, and after a restart."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import trio

from gossip.errors import ConfigError, StateError
from gossip.features import SCHEMA
from gossip.flows import FAMILIES
from gossip.learning.scaling import Scaler
from node.alerts.incidents import ROWS_MAX, Incident, Row, Sample
from node.control import requests
from node.control.documents import Answer
from node.verdicts.book import NAME, VERDICTS_MAX, Book
from node.verdicts.pardons import SLACK, Pardons
from tests.node.live import patient, running, sensor, settings_for
from tests.node.traffic import ATTACKER, benign, scan, write

CALM = 700
SCAN = FAMILIES.index("scan")


def incident(number=0, rows=3):
    top = Sample(0.0, "u", "a", 1, "b", 2, "tcp", "", 9.0)
    values = np.full(len(SCHEMA), number, np.float32).tobytes()
    made = Incident(f"{number:016x}", "a", "unknown", 0.0, 1.0, top, ())
    made.rows = [Row(f"{number}.{i}", values) for i in range(rows)]
    return made


def test_a_book_is_kept_changed_and_emptied(tmp_path):
    book = Book(tmp_path)
    book.say(incident(1), "benign", "ana", "a backup")
    book.say(incident(2), "scan", "ana", "")
    book.say(incident(3, rows=0), "dos", "ana", "")
    again = Book(tmp_path)
    assert again.get(f"{1:016x}") == book.get(f"{1:016x}")
    assert {word: rows.shape for word, rows in again.words().items()} == {
        "benign": (3, len(SCHEMA)),
        "scan": (3, len(SCHEMA)),
    }
    again.say(replace(incident(1), rows=[]), "scan", "bob", "no, a scan")
    assert again.words()["scan"].shape[0] == 6, "a changed word keeps its flows"
    for key in (1, 2, 3):
        again.withdraw(f"{key:016x}")
    assert not len(Book(tmp_path))


def test_a_book_forgets_the_oldest_and_is_for_its_owner_alone(tmp_path):
    book = Book(tmp_path)
    book._said = {f"{i}": book.say(incident(i), "scan", "", "") for i in range(3)}
    book._keep([replace(book._said["0"], incident=f"{i}") for i in range(VERDICTS_MAX)])
    book.say(incident(7), "scan", "", "")
    assert len(Book(tmp_path)) == VERDICTS_MAX
    assert book.get("0") is None
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"version": 2}', "row", "word"])
def test_a_damaged_book_is_refused_and_left_alone(tmp_path, damage):
    Book(tmp_path).say(incident(1), "scan", "", "")
    whole = json.loads((tmp_path / NAME).read_text())
    if damage == "row":
        whole["verdicts"][0]["rows"][0]["values"] = "AAAA"
        damage = json.dumps(whole)
    if damage == "word":
        whole["verdicts"][0]["word"] = "\x1b[2J"
        damage = json.dumps(whole)
    (tmp_path / NAME).write_text(damage)
    with pytest.raises(StateError, match="move it away"):
        Book(tmp_path)
    assert (tmp_path / NAME).read_text() == damage


def test_what_the_disk_refuses_is_not_taken(tmp_path):
    book = Book(tmp_path / "gone")
    with pytest.raises(StateError, match="was not taken"):
        book.say(incident(1), "scan", "", "")
    assert not len(book)


def test_a_pardon_is_for_flows_alike_in_every_feature():
    scaler = Scaler(np.zeros(3, np.float32), np.array([0.5, 2.0, 0.5], np.float32))
    pardons = Pardons(np.array([[1, 0, 5], [0, 9, 5]], np.float32))
    rows = np.array([[1.4, 1.9, 5.4], [1.4, 1.9, 5.6], [0, 0, 5], [1, 9, 5]], np.float32)
    assert SLACK == 1.0
    assert pardons(rows, scaler).tolist() == [True, False, False, False]
    assert not Pardons()(rows, scaler).any()


def test_what_was_called_benign_alarms_no_more_until_that_is_taken_back(tmp_path):
    """At once, over a restart, and learnt in the next cycle; all by the node's own socket."""
    log = write(tmp_path / "eve.json", benign(CALM))
    settings = settings_for(tmp_path / "a", sensor=sensor(log), detector__budget="5%")
    place = CALM

    async def scanned(node):
        """The same scan again, after half a minute of quiet traffic and minutes of none."""
        nonlocal place
        seen = node.gateway._watch.seen
        before = seen.flows
        lines = [*benign(70, place), *scan(20, place + 75), *benign(10, place + 1_200)]
        write(log, lines)
        place += 1_300
        await node.until(lambda s: seen.flows == before + len(lines))
        return [each for each in await asked(node) if each.source == ATTACKER]

    async def asked(node):
        return await trio.to_thread.run_sync(requests.incidents, settings.status_socket)

    async def said(node, *more):
        return await trio.to_thread.run_sync(requests.verdict, settings.status_socket, *more)

    async def main():
        def anew(found):
            """Of 20 flows a few may look like none that was called benign."""
            return [each for each in found if each.key != first.key and each.flows > 5]

        async with running(settings) as node:
            await node.until(lambda s: s.detector.state == "watching" and s.mesh.cycle > 20)
            (first,) = await scanned(node)
            assert first.rows == first.flows <= ROWS_MAX
            assert len(first.explanation) == 5
            done = await said(node, first.key[:8], "benign", "our own scanner")
            assert (done.verdict, done.before, done.rows) == ("benign", "", first.rows)
            (now,) = [each for each in await asked(node) if each.key == first.key]
            assert (now.verdict, now.note) == ("benign", "our own scanner")
            assert now.verdict_by
            assert not anew(await scanned(node))
            assert node.gateway._watch.seen.pardoned >= first.flows / 2
            assert node.gateway._watch.samples.said[0].shape[0] == first.rows
        async with running(settings) as node:
            restarted = await asked(node)
            assert [each.verdict for each in restarted if each.key == first.key] == ["benign"]
            assert not anew(await scanned(node))
            with pytest.raises(ConfigError, match="no verdict"):
                await said(node, first.key, "Benign!")
            with pytest.raises(ConfigError, match="no incident that this node knows"):
                await said(node, "0123", "benign")
            await said(node, first.key, "none")
            with pytest.raises(ConfigError, match="nothing to take back"):
                await said(node, first.key, "none")
            known = {each.key for each in await asked(node)}
            while not (found := [each for each in await scanned(node) if each.key not in known]):
                # until the model has forgotten it, too
                cycle = (await node.look()).mesh.cycle
                await node.until(lambda s, c=cycle: s.mesh.cycle > c + 10)
            done = await said(node, found[0].key, "scan")
            assert (done.before, done.rows) == ("", found[0].rows)
            watch = node.gateway._watch
            cycle = (await node.look()).mesh.cycle
            await node.until(lambda s: s.mesh.cycle > cycle + 1)
            assert SCAN in watch.samples.labelled
            (evidence,) = watch.evidence()
            assert (evidence.family, len(evidence.rows)) == ("scan", found[0].rows)
            x = watch.batches(99)
            assert (x.y == SCAN).sum() > 100, "rows of every training step from now on"

    patient(main)


def test_the_socket_answers_whatever_it_is_asked(tmp_path):
    class Desk:
        def status(self):
            return {"software": "x"}

        def incidents(self, limit):
            return []

    for line in (b"{", b'{"ask":"no"}', b"\xff", b'{"ask":"incidents","limit":0}', b"[" * 5_000):
        assert b"not a request" in requests.answer(Desk(), line)
    assert requests.answer(Desk(), b"") == b'{"software":"x"}'
    assert Answer(**json.loads(requests.answer(Desk(), b'{"ask":"incidents"}'))) == Answer([])


def test_many_pardoned_flows_are_looked_through_as_few_are():
    """Against the definition, with flows that are just alike and just not."""
    made = np.random.default_rng(1)
    scaler = SimpleNamespace(spread=np.full(26, 0.7, np.float32))
    known = (made.integers(0, 4, (600, 26)) * 0.35).astype(np.float32)
    steps = made.choice([-0.7, 0.0, 0.7, 0.71], (200, 26), p=[0.05, 0.88, 0.05, 0.02])
    new = (known[made.integers(0, 600, 200)] + steps).astype(np.float32)
    spread = known / scaler.spread
    alike = [(np.abs(spread - row) <= SLACK).all(axis=1).any() for row in new / scaler.spread]
    assert 50 < sum(alike) < 190
    assert Pardons(known)(new, scaler).tolist() == alike
