"""A flood against a whole node: what it does, says and counts."""

import json

from node.alerts.crowd import MANY
from tests.node.live import patient, running, sensor, settings_for
from tests.node.traffic import BROKER, START_S, STEP_S, _line, benign, write

CALM = 700
FLOOD = 4_000
RATE = 2_000


def syn_flood(count, first):
    """Connection attempts from forged sources that nobody answers, so many a second."""
    found = []
    for i in range(count):
        counts = {"pkts_toserver": 1, "pkts_toclient": 0, "bytes_toserver": 54}
        counts |= {"bytes_toclient": 0, "seconds": 0.0}
        ends = {"src_ip": f"203.0.{i >> 8}.{i & 255}", "src_port": 1_024 + i % 60_000}
        ends |= {"dest_ip": BROKER, "dest_port": 443}
        at_s = START_S + first * STEP_S + i / RATE
        found.append(_line(first + i, at_s, counts, ("02", "00"), **ends))
    return found


def test_a_flood_costs_neither_learning_nor_alerts_nor_the_count(tmp_path):
    log = write(tmp_path / "eve.json", benign(CALM))
    settings = settings_for(
        tmp_path / "a", sensor=sensor(log), flood__flows_per_s=200, flood__queue_max=64
    )

    async def main():
        async with running(settings) as a:
            await a.until(lambda s: s.detector.state == "watching" and s.sensors[0].judged == CALM)
            learnt = a.gateway._watch.samples.to_arrays()
            write(log, syn_flood(FLOOD, CALM))
            found = await a.until(lambda s: s.sensors[0].judged + s.sensors[0].shed == CALM + FLOOD)
            assert found.sensors[0].flows == CALM + FLOOD
            assert found.flood.shed == found.sensors[0].shed > 0
            assert found.detector.flows_seen == found.sensors[0].judged
            assert (found.flood.now, found.flood.floods, found.flood.waiting) == (True, 1, 0)
            found = await a.until(lambda s: s.flood.pauses > 1)
            later = await a.until(lambda s: s.flood.pauses > 4)
            assert later.mesh.cycle > found.mesh.cycle, "the peer lives on"
            assert later.detector.model == found.detector.model
            opened = [each for each in found.alerts.last if each.source.startswith("203.")]
            crowds = [each for each in found.alerts.last if each.source == MANY]
            assert crowds
            assert len(opened) + len(crowds) <= 10
            assert sum(each.flows for each in crowds) > found.sensors[0].judged / 4
            held = a.gateway._watch.samples.to_arrays()
            grown = sum(len(held[name]) - len(learnt[name]) for name in held if "rows" in name)
            assert grown < FLOOD / 10, "what came before it was noticed, at most"

    patient(main)
    alerts = [json.loads(line) for line in settings.alerts_path.read_text().splitlines()]
    assert any(len(each["hedgerow"].get("sources", ())) > 1 for each in alerts)
