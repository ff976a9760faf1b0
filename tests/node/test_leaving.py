"""What leaves a node, as its commands tell it: every frame and every number, and nothing else."""

import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import trio
from click.testing import CliRunner

from gossip.codec import decode, encode
from gossip.features import SCHEMA
from gossip.learning.mixture import COMPONENTS, Mixture
from gossip.learning.norms import Norm
from gossip.learning.presenting import ORIGINS_ENOUGH
from gossip.learning.tails import LENGTH
from gossip.messages import Give, Message, Shuffle
from node.antigens import kept, leaving, leaving_view
from node.antigens.folder import Folder
from node.cli import cli
from node.detection import fingerprint_of, new_learner
from node.state.store import look
from tests.node.immunity import by_another
from tests.node.live import PATIENCE_S, running, settings_for
from tests.node.traffic import benign, scan, write

CALM = 700


def lived(folder, **overrides):
    """The settings of a node that saw attacks with labels, learnt for a while, and stopped."""
    log = folder / "eve.json"
    folder.mkdir()
    write(log, benign(CALM) + scan(60, CALM, labelled=True) + benign(5, first=CALM + 60))
    settings = settings_for(folder / "state", sensor=[{"path": str(log)}], **overrides)

    async def main():
        with trio.fail_after(3 * PATIENCE_S):
            async with running(settings) as node:
                await node.until(lambda s: s.mesh.cycle > 5 and s.detector.flows_seen == CALM + 65)
                await node.until(lambda s: s.antigens.held or not settings.antigens.share)
                cycle = (await node.look()).mesh.cycle
                await node.until(lambda s: s.mesh.cycle > cycle + 2)

    trio.run(main)
    return settings


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """One that does not share."""
    return lived(tmp_path_factory.mktemp("quiet") / "a")


@pytest.fixture(scope="module")
def sharing(tmp_path_factory):
    return lived(tmp_path_factory.mktemp("sharing") / "a", antigens__share=True)


def hedgerow(settings, *words, **overrides):
    """What a command says of a node's state folder; its settings come in a file, as they would."""
    file = settings.node.state_dir.parent / "gateway.toml"
    lines = ["[node]", f"state_dir = {json.dumps(str(settings.node.state_dir))}", "[antigens]"]
    file.write_text("\n".join([*lines, f"share = {json.dumps(settings.antigens.share)}"]))
    done = CliRunner().invoke(cli, [*words, "--config", str(file)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def numbers_of(description):
    """The mixture in an antigen's own numbers."""
    mixture = Mixture.unpack(description, len(SCHEMA))
    return mixture.shares.tolist(), mixture.means.tolist(), mixture.spreads.tolist()


def shown(antigen):
    """The same, as `show-what-leaves --json` has it."""
    parts = antigen["components"]
    assert all([c["feature"] for c in part["features"]] == list(SCHEMA) for part in parts)
    return tuple(
        [part["share"] for part in parts]
        if name == "share"
        else [[column[name] for column in part["features"]] for part in parts]
        for name in ("share", "mean", "spread")
    )


def test_before_sharing_it_shows_to_the_last_number_what_would_leave(quiet):
    found = json.loads(hedgerow(quiet, "show-what-leaves", "--json"))
    assert not found["share"]
    (antigen,) = found["antigens"]
    assert (antigen["family"], antigen["state"]) == ("scan", "not presented")
    assert "with true, this would leave" in antigen["reason"]
    assert antigen["evidence"] == antigen["rows"] >= 10
    assert antigen["bytes"] <= 4_096
    assert 1 <= len(antigen["components"]) <= COMPONENTS
    assert kept.from_arrays(look(quiet.node.state_dir).arrays) == (), "and none was made"


def test_while_sharing_it_shows_what_did_leave(sharing):
    (held,) = kept.from_arrays(look(sharing.node.state_dir).arrays)
    found = json.loads(hedgerow(sharing, "show-what-leaves", "--json"))
    (antigen,) = found["antigens"]
    assert (antigen["state"], antigen["reason"]) == ("presented", "")
    assert antigen["evidence"] == held.evidence
    assert (antigen["created_s"], antigen["expires_s"]) == (held.created_s, held.expires_s)
    assert shown(antigen) == numbers_of(held.description)
    frame = encode(Give((held,)), bytes(8))
    assert decode(frame, bytes(8)) == Give((held,))
    assert antigen["bytes"] == len(frame) - len(encode(Give(()), bytes(8)))


def test_it_tells_the_frames_and_how_much_of_the_model_travels(quiet):
    found = json.loads(hedgerow(quiet, "show-what-leaves", "--json"))
    kinds = {each["kind"]: each for each in found["frames"]}
    assert set(kinds) == {
        "model", "shuffle, and its reply", "good-bye", "refusal", "have", "want", "give",
    }  # fmt: skip
    both = 1  # a shuffle and its reply stand in one line
    assert len(get_args(Message)) == len(kinds) + both, "a kind of frame that it does not tell"
    learner = new_learner()
    assert (found["numbers"], found["numbers_all"]) == (learner.shared, learner.dim)
    assert 0 < kinds["model"]["bytes"] - 4 * learner.shared < 300
    assert any("addresses" in each for each in found["never"])


def test_for_a_person_it_is_text_with_every_feature(quiet):
    said = hedgerow(quiet, "show-what-leaves")
    for word in (*SCHEMA, "Never leaves", "sharing is off", "scan: not presented"):
        assert word in said
    found = Folder.look(quiet).what_leaves(1e9).antigens[0]
    for part in found.components:
        for column in part.features:
            assert f"{column.mean:.7g} ± {column.spread:.7g}" in said


def test_what_leaves_is_told_rightly_though_a_flag_said_to_share(sharing):
    """As with `hedgerow up --share-antigens`: no settings file says that this node shares."""
    folder = sharing.node.state_dir
    file = folder.parent / "flag.toml"
    file.write_text(f"[node]\nstate_dir = {json.dumps(str(folder))}\n")
    said = CliRunner().invoke(cli, ["show-what-leaves", "--config", str(file)]).output
    assert "But it was on when the node saved this" in said
    said = CliRunner().invoke(cli, ["show-what-leaves", "--state-dir", str(folder)]).output
    assert "sharing is on" in said
    assert "scan: presented\n" in said


def test_every_frame_is_as_large_as_said_and_sums_are_told_of(sharing):
    folder = Folder.look(sharing)
    (held,) = folder.held
    kinds = {each.kind: each for each in folder.what_leaves(1e9).frames}
    assert kinds["give"].bytes == len(encode(Give((held,)), bytes(8)))
    shuffle = encode(Shuffle(sharing.node.listen, ()), bytes(8))
    assert kinds["shuffle, and its reply"].bytes == len(shuffle)
    mesh = fingerprint_of(new_learner(), sharing.mesh.fragments)
    arrays = folder.snapshot.arrays
    vector, ages = arrays["peer.vector"], arrays["peer.ages"]
    without, with_sums = (
        leaving.frames(
            replace(sharing.mesh.peer_config(), sums_length=length),
            mesh, vector, ages, (), (), (held,), use=True, share_tail=True,
        )[0]
        for length in (0, 40)
    )  # fmt: skip
    assert "40 numbers of the mesh's mean" in with_sums.content
    assert 80 < with_sums.bytes - without.bytes < 100


def test_too_few_rows_are_said_to_be_too_few(quiet):
    few = quiet.with_overrides({"antigens.evidence_min": 5_000, "antigens.share": True})
    (antigen,) = Folder.look(few).what_leaves(1e9).antigens
    assert antigen.components == ()
    assert f"{antigen.rows} of the 5000 rows" in antigen.reason


def test_what_enough_others_say_or_would_go_next_is_said_so(quiet):
    sharing = quiet.with_overrides({"antigens.share": True})
    folder = Folder.look(sharing)
    (antigen,) = folder.what_leaves(1e9).antigens
    assert antigen.reason == "it leaves after the next training"
    rows = folder.snapshot.arrays["watch.samples.family1.train.rows"]
    held = tuple(by_another("scan", rows, 1_000_000_000) for _ in range(ORIGINS_ENOUGH))
    (antigen,) = replace(folder, held=held).what_leaves(1e9).antigens
    assert antigen.reason == "4 other peers describe the same already"
    assert antigen.components


def test_nothing_there_is_said_with_a_cure(tmp_path):
    for words in (("show-what-leaves",), ("antigens", "list"), ("antigens", "approve", "00")):
        done = CliRunner().invoke(cli, [*words, "--state-dir", str(tmp_path)])
        assert "no node has saved anything there yet" in str(done.exception)


def test_own_antigens_need_no_approval_and_unknown_ones_are_refused(sharing):
    (held,) = json.loads(hedgerow(sharing, "antigens", "list", "--json"))["held"]
    assert held["state"] == "own"
    with pytest.raises(Exception, match="this gateway's own; there is nothing to approve"):
        hedgerow(sharing, "antigens", "approve", held["id"])
    with pytest.raises(Exception, match="is the id of no antigens held; `hedgerow antigens list`"):
        hedgerow(sharing, "antigens", "approve", "zz\x1b[2J")
    with pytest.raises(Exception, match="is the id of no approved antigens; approved are none"):
        hedgerow(sharing, "antigens", "forget", held["id"])
    said = hedgerow(sharing, "antigens", "list")
    assert held["id"] in said
    assert "1 held (own 1)" in said


def test_the_numbers_are_of_labelled_rows_alone(quiet):
    """The mean of the shown means is the mean of the family's own rows, and of no others."""
    folder = Folder.look(quiet)
    rows = folder.snapshot.arrays["watch.samples.family1.train.rows"]
    (antigen,) = folder.what_leaves(1e9).antigens
    assert antigen.evidence == len(rows)
    means = [[column.mean for column in part.features] for part in antigen.components]
    whole = np.average(means, axis=0, weights=[part.share for part in antigen.components])
    assert np.allclose(whole, rows.mean(axis=0), atol=0.02)


def test_it_shows_every_number_that_goes_into_the_meshs_mean(quiet):
    told = look(quiet.node.state_dir).arrays["watch.told"]
    found = json.loads(hedgerow(quiet, "show-what-leaves", "--json"))
    assert found["share_tail"]
    assert [each["number"] for each in found["tail"]] == told.tolist()
    assert len({each["what"] for each in found["tail"]}) == LENGTH
    said = hedgerow(quiet, "show-what-leaves")
    assert "34 numbers of the mesh's mean, with this node's part in it" in said
    for number in told:
        assert f"  {number:.7g}\n" in said


def test_what_is_not_to_leave_is_said_not_to(quiet):
    folder = Folder.look(quiet)
    small = folder.snapshot.small | {"share_tail": False}
    kept_home = replace(folder, snapshot=replace(folder.snapshot, small=small)).as_it_ran()
    found = kept_home.what_leaves(1e9)
    assert not found.share_tail
    said = "\n".join(leaving_view.lines(found))
    assert "does not leave (detector.share_tail = false)" in said
    assert "with this node's part in it" not in said
    nothing = "\n".join(leaving_view.lines(replace(found, tail=())))
    assert "nothing to tell yet" in nothing


def test_it_shows_what_benign_flows_are_said_to_be_like(quiet):
    folder = Folder.look(quiet)
    found = folder.what_leaves(0.0)
    assert not found.share_norm
    assert "does not leave (detector.scaling" in "\n".join(leaving_view.lines(found))
    wanted = replace(quiet, detector=replace(quiet.detector, scaling="mesh"))
    found = Folder.look(wanted).what_leaves(0.0)
    assert found.share_norm
    rows = folder._watch().benign
    assert found.norm_flows == len(rows)
    norm = Norm.unpack(Norm.of(rows).pack(), len(SCHEMA))
    assert [each.mean for each in found.norm] == norm.mean.tolist()
    assert [each.spread for each in found.norm] == norm.deviation.tolist()
    said = "\n".join(leaving_view.lines(found))
    assert all(f"{each.mean:.7g} ± {each.spread:.7g}" in said for each in found.norm)
    assert 'leaves as a norm (detector.scaling = "mesh")' in said
    small = folder.snapshot.small | {"scaling": "mesh"}
    ran = replace(folder, snapshot=replace(folder.snapshot, small=small)).as_it_ran()
    assert ran.settings.detector.scaling == "mesh", "as the node ran, whatever a flag says"
