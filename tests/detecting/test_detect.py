"""`hedgerow detect`: a saved model judges whole logs, in little memory, and nothing changes."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gossip.actions import Train
from gossip.arrays import prefixed
from gossip.errors import SensorError, StateError
from node.cli import cli
from node.config.settings import DetectorSettings, MeshSettings
from node.detecting import judging
from node.detecting.judging import Judging
from node.detection import fingerprint_of, new_learner, new_watch
from node.state.store import Snapshot, Store
from node.trainer import Trainer
from tests.meta.sources import ROOT
from tests.node.traffic import ATTACKER, START_S, STEP_S, benign, parsed, scan

CALM = 700
BUDGET = 0.1  # 100 rows to calibrate with
PRINT = fingerprint_of(new_learner(), MeshSettings().fragments).text
SCAN = 60


def saved(folder: Path, *, budget: float = BUDGET, cycles: int = 40, text: str = PRINT) -> Path:
    """The state folder of a gateway that saw ordinary traffic and trained on it."""
    watch = new_watch(budget, b"secret", "me")
    watch.observe(parsed(benign(CALM)))
    learner = new_learner()
    trainer, shared = Trainer(learner, learner.initial(b"x")), learner.initial(b"x")
    shared = shared[: learner.shared]
    for cycle in range(cycles):
        shared = shared + trainer.train(Train(cycle, shared), watch.batches(cycle)).delta
    watch.serve(trainer.whole(shared), cycles)
    store = Store.open(folder)
    store.save(Snapshot(cycles, prefixed("watch", watch.to_arrays()), {"fingerprint": text}))
    store.close()
    return folder


@pytest.fixture(scope="module", name="state")
def _state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("node") / "state")


@pytest.fixture(scope="module", name="yesterday")
def _yesterday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a scan in its second half."""
    path = tmp_path_factory.mktemp("logs") / "eve.json"
    begun = START_S + 86_400
    lines = benign(200, CALM, begun) + scan(SCAN, CALM + 200, begun + 1_000.0 + CALM * STEP_S)
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_scan_is_one_incident_and_nothing_in_the_folder_changes(
    state: Path, yesterday: Path
) -> None:
    before = contents(state)
    found = Judging(state, DetectorSettings(), MeshSettings())
    incidents = list(found.incidents([yesterday]))
    (scanned,) = [each for each in incidents if each.source == ATTACKER]
    assert scanned.flows == found.counts.anomalous - sum(
        each.flows + each.collateral for each in incidents if each is not scanned
    )
    assert scanned.flows > SCAN / 2
    assert found.counts.flows == 200 + SCAN
    assert found.counts.cold > 0  # and none of these opens an incident
    assert contents(state) == before
    # A node that holds the folder, and its lock, minds as little.
    store = Store.open(state)
    again = Judging(state, DetectorSettings(), MeshSettings())
    assert [each.key for each in again.incidents([yesterday])] == [each.key for each in incidents]
    store.close()


def test_several_logs_are_one(state: Path, yesterday: Path, tmp_path: Path) -> None:
    whole = Judging(state, DetectorSettings(), MeshSettings())
    lines = yesterday.read_bytes().splitlines(keepends=True)
    halves = [tmp_path / "eve.json.1", tmp_path / "eve.json.2.gz"]
    halves[0].write_bytes(b"".join(lines[:230]))
    halves[1].write_bytes(gzip.compress(b"".join(lines[230:])))
    cut = Judging(state, DetectorSettings(), MeshSettings())
    expected = [(i.key, i.flows) for i in whole.incidents([yesterday])]
    assert [(i.key, i.flows) for i in cut.incidents(halves)] == expected
    assert cut.counts.flows == whole.counts.flows


def test_people_get_a_table_and_programs_get_alerts(state: Path, yesterday: Path) -> None:
    told = CliRunner().invoke(cli, ["detect", "--state-dir", str(state), str(yesterday)])
    assert told.exit_code == 0
    head, *rest = told.output.splitlines()
    assert head.startswith("The model of cycle 40 (")
    assert any(ATTACKER in line for line in rest)
    assert f"{200 + SCAN} flows" in rest[-1]
    as_json = CliRunner().invoke(
        cli, ["detect", "--json", "--state-dir", str(state), str(yesterday)]
    )
    alerts = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert ATTACKER in {alert["src_ip"] for alert in alerts}
    assert {alert["event_type"] for alert in alerts} == {"alert"}
    assert "flows" in as_json.stderr


def test_a_process_that_detects_loads_no_mesh_and_fits_in_60_mb(
    state: Path, yesterday: Path
) -> None:
    program = (
        "import sys\n"
        "from node.cli import cli\n"
        "cli.main(sys.argv[1:], standalone_mode=False)\n"
        "held = open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]\n"
        "print(int(held) * 1024, *{name.partition('.')[0] for name in sys.modules})\n"
    )
    command = [sys.executable, "-c", program, "detect", "--json", "--state-dir", state, yesterday]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    held, *loaded = done.stdout.splitlines()[-1].split()
    assert not {"libp2p", "trio", "torch", "rich", "structlog", "networkx"} & set(loaded)
    assert int(held) <= 60_000_000


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"budget": 0.001}, "still learning and has no threshold yet"),
        ({"cycles": 0}, "does not understand"),
        ({"text": "schema x, 9 values"}, "holds another model"),
    ],
)
def test_a_folder_without_a_model_that_judges_is_refused(tmp_path: Path, made, why: str) -> None:
    if made == {"cycles": 0}:
        store = Store.open(tmp_path / "state")
        store.save(Snapshot(0, {}, {"fingerprint": PRINT}))
        store.close()
    else:
        saved(tmp_path / "state", **{"cycles": 2} | made)
    with pytest.raises(StateError, match=why):
        Judging(tmp_path / "state", DetectorSettings(), MeshSettings())


def test_a_log_of_something_else_is_refused(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing\n" * 3)
    with pytest.raises(SensorError, match="holds no flow"):
        list(Judging(state, DetectorSettings(), MeshSettings()).incidents([path]))
    with pytest.raises(SensorError, match=r"notes\.pcap"):
        list(
            Judging(state, DetectorSettings(), MeshSettings()).incidents(
                [path.rename(tmp_path / "notes.pcap")]
            )
        )


def test_every_name_of_a_capture_is_known() -> None:
    for name in ("a.pcap", "a.pcapng.gz", "b.cap.xz", "b.pcap.1"):
        assert judging.CAPTURES.intersection(Path(name).suffixes)
    assert not judging.CAPTURES.intersection(Path("eve.json.gz").suffixes)
