"""Real nodes over libp2p: an attack that one has labels for is known to the others too."""

import json
from contextlib import AsyncExitStack

import trio
from click.testing import CliRunner

from node.cli import cli
from node.times import eve_time
from tests.node.live import PATIENCE_S, running, settings_for
from tests.node.traffic import ATTACKER, START_S, STEP_S, benign, scan, write

CALM = 700
FLOOD = {"signature_id": 2, "signature": "flood", "category": "x", "severity": 2}


def patient(main):
    async def within():
        with trio.fail_after(3 * PATIENCE_S):
            await main()

    trio.run(within)


def called_floods(count, first):
    """Ordinary flows, of which a sensor says that they are a flood."""
    found = []
    for number, line in enumerate(benign(count, first=first), first):
        alert = {"timestamp": eve_time(START_S + number * STEP_S), "flow_id": number + 1}
        alert |= {"event_type": "alert", "alert": FLOOD}
        found += [json.dumps(alert).encode(), line]
    return found


def gateway(folder, lines, **overrides):
    log = write(folder.with_suffix(".json"), lines)
    return log, settings_for(folder, sensor=[{"path": str(log)}], **overrides)


def of(status, origin):
    return next((each for each in status.antigens.held if each.origin == origin), None)


def test_one_has_labels_and_shares_and_the_others_hold_use_and_detect(tmp_path):
    async def main():
        async with AsyncExitStack() as stack:
            told = benign(CALM) + scan(120, CALM, labelled=True)
            _, settings = gateway(tmp_path / "a", told, antigens__share=True)
            a = await stack.enter_async_context(running(settings))
            others = []
            for number, name in enumerate("bc", 1):
                log, settings = gateway(
                    tmp_path / name,
                    benign(CALM, first=number * CALM),
                    node__bootstrap=[a.address],
                    antigens__share=True,  # but it has no evidence of anything
                )
                node = await stack.enter_async_context(running(settings))
                others.append((node, log, (number + 1) * CALM))
            peer = a.started.peer
            for node, log, first in others:
                found = await node.until(lambda s: (of(s, peer) or of(s, "")) and s.detector)
                held = of(found, peer)
                assert held.family == "scan"
                assert held.evidence >= 10
                await node.until(lambda s: of(s, peer).state == "used")
                cycle = (await node.look()).mesh.cycle
                await node.until(lambda s, c=cycle: s.mesh.cycle > c + 15)
                write(log, scan(40, first))
                found = await node.until(
                    lambda s: any(
                        (each.source, each.family) == (ATTACKER, "scan") for each in s.alerts.last
                    )
                )
                assert found.detector.state == "watching"
                assert len(found.antigens.held) == 1, "who has no evidence presents nothing"
            found = await a.look()
            assert of(found, peer).state == "own"

    patient(main)


def test_a_mimic_of_benign_traffic_is_quarantined_until_an_operator_approves_it(tmp_path):
    async def main():
        lies = benign(CALM) + called_floods(200, CALM)
        _, settings = gateway(tmp_path / "liar", lies, antigens__share=True)
        async with running(settings) as liar:
            _, settings = gateway(
                tmp_path / "b", benign(CALM, first=3 * CALM), node__bootstrap=[liar.address]
            )
            async with running(settings) as b:
                peer = liar.started.peer
                found = await b.until(
                    lambda s: (
                        of(s, peer) is not None
                        and of(s, peer).evidence > 100  # with twice the rows it would be renewed
                        and of(s, peer).state == "quarantined"
                    )
                )  # before, there may be too few benign rows to measure it by
                held = of(found, peer)
                assert held.false_alarms > found.detector.budget
                assert held.reason
                where = ["--state-dir", str(settings.node.state_dir)]

                def hedgerow(*words):
                    done = CliRunner().invoke(cli, [*words, *where], catch_exceptions=True)
                    return done.output + str(done.exception or "")

                def is_saved(_):
                    said = hedgerow("antigens", "list", "--json")
                    return held.id in said and "quarantined" in said

                await b.until(is_saved)
                said = await trio.to_thread.run_sync(hedgerow, "antigens", "approve", "ffff0000")
                assert "no antigens held; `hedgerow antigens list`" in said
                said = await trio.to_thread.run_sync(hedgerow, "antigens", "approve", held.id[:6])
                assert "approved; used from the next training on" in said
                found = await b.until(lambda s: of(s, peer).state == "approved")
                said = await trio.to_thread.run_sync(hedgerow, "antigens", "forget", held.id)
                assert "no longer approved" in said
                await b.until(lambda s: of(s, peer).state == "quarantined")

    patient(main)


def test_three_that_scale_alike_tell_their_norms_and_end_with_one_scaler(tmp_path):
    async def main():
        async with AsyncExitStack() as stack:
            nodes, address = [], []
            for number, name in enumerate("abc"):
                _, settings = gateway(
                    tmp_path / name,
                    benign(CALM, first=number * CALM),
                    node__bootstrap=address,
                    detector__scaling="mesh",
                )
                nodes.append(await stack.enter_async_context(running(settings)))
                address = [nodes[0].address]
            for node in nodes:
                found = await node.until(lambda s: s.detector.scaling_norms == len(nodes))
                assert found.detector.scaling == "mesh"
                assert not found.antigens.held, "a norm is no antigen"
            watches = [node.gateway._watch for node in nodes]
            assert len({watch._memory.scaler.centre.tobytes() for watch in watches}) == len(nodes)

            def alike(_):  # not at once where one has just told anew
                scalers = [watch.serving.scaler for watch in watches]
                return len({s.centre.tobytes() + s.spread.tobytes() for s in scalers}) == 1

            await nodes[0].until(alike)

    patient(main)
