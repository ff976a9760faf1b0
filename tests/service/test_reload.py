"""SIGHUP: what changes while a node runs, what waits for a restart, and what is refused."""

from dataclasses import replace
from pathlib import Path

from gossip.errors import StateError
from node.config.settings import Settings
from node.service.health import Health
from node.service.reload import Reloader, differing
from tests.node.live import patient, running, sensor, settings_for
from tests.node.traffic import benign, scan, write


def settings(**overrides) -> Settings:
    return Settings.defaults().with_overrides(
        {name.replace("__", "."): value for name, value in overrides.items()}
    )


def test_what_differs_is_named_as_in_the_file() -> None:
    new = settings(mesh__cycle="5 s", detector__budget="1%", sensor=[{"path": "/x"}])
    assert differing(settings(), new) == {
        "mesh.cycle": ("mesh", "cycle_us"),
        "sensor": ("sensors",),
        "detector.budget": ("detector", "budget"),
    }
    assert differing(new, new) == {}


def test_what_can_change_does_and_the_rest_is_named() -> None:
    health, applied = Health(), []
    reloader = Reloader(settings(), {"detector.budget": applied.append}, health)
    reloader.reload(lambda: settings(detector__budget="1%", detector__gap="3 min"))
    assert [each.detector.budget for each in applied] == [0.01]
    assert (health.reloads, health.restart_for) == (1, ("detector.gap",))
    assert reloader.settings == settings(detector__budget="1%")
    reloader.reload(lambda: settings(detector__budget="1%"))
    assert (len(applied), health.restart_for) == (1, ()), "what was put back needs no restart"


def test_a_wrong_file_changes_nothing_and_says_why() -> None:
    health, applied = Health(), []
    reloader = Reloader(settings(), {"detector": applied.append}, health)
    reloader.reload(lambda: settings(detector__budget="200%"))
    assert "detector.budget" in health.reload_refused
    assert (applied, reloader.settings) == ([], settings())
    reloader.reload(settings)
    assert health.reload_refused == ""


def test_all_is_applied_or_nothing() -> None:
    budgets = []

    def refuse(_: Settings) -> None:
        raise StateError("/var/log/x: cannot be written")

    health = Health()
    appliers = {"detector": lambda new: budgets.append(new.detector.budget), "alerts": refuse}
    reloader = Reloader(settings(), appliers, health)
    reloader.reload(lambda: settings(detector__budget="1%", alerts__path="/var/log/x"))
    assert budgets == [0.01, 0.005], "it went back"
    assert health.reload_refused == "/var/log/x: cannot be written"
    assert reloader.settings == settings()


def test_a_change_that_contradicts_what_must_wait_is_refused() -> None:
    old = settings(antigens__use=False)
    health = Health()
    reloader = Reloader(old, {"antigens.share": lambda _: None}, health)
    reloader.reload(lambda: settings(antigens__share=True))
    assert "restart the node" in health.reload_refused
    assert reloader.settings == old


def test_a_node_takes_up_sensors_a_budget_and_sharing(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    lines = benign(500)
    write(first, lines[:400])
    write(second, lines[400:450])
    begun = settings_for(tmp_path / "a", sensor=sensor(first))

    async def main() -> None:
        async with running(begun) as node:
            await node.until(lambda s: s.detector.state == "watching")
            both = begun.with_overrides(
                {
                    "sensor": [*sensor(first), *sensor(second)],
                    "detector.budget": "12%",
                    "antigens.share": True,
                    "mesh.fanout": 2,
                }
            )
            node.gateway.reload(lambda: both)
            found = await node.until(lambda s: sum(x.flows for x in s.sensors) == 450)
            assert found.detector.budget == 0.12
            assert found.detector.state == "watching"
            assert found.antigens.share
            assert found.service.restart_for == ("mesh.fanout",)
            only = replace(both, sensors=both.sensors[1:])
            node.gateway.reload(lambda: only)
            write(first, lines[450:])
            cycle = (await node.look()).mesh.cycle
            found = await node.until(lambda s: s.mesh.cycle > cycle + 2)
            assert [x.flows for x in found.sensors] == [50]
            node.gateway.reload(lambda: both)
            found = await node.until(lambda s: s.detector.flows_seen == 500)
            assert [x.flows for x in found.sensors] == [50, 50], "it goes on where it was"

    patient(main)


def test_a_budget_is_kept_at_once_and_what_was_shared_is_taken_back(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    write(log, [*benign(400), *scan(30, 400, labelled=True)])
    begun = settings_for(tmp_path / "a", sensor=sensor(log))

    def with_(**values: object) -> Settings:
        return begun.with_overrides({k.replace("__", "."): v for k, v in values.items()})

    async def main() -> None:
        async with running(begun) as node:
            await node.until(lambda s: s.detector.state == "watching")
            node.gateway.reload(lambda: with_(detector__budget="0.1%", antigens__share=True))
            found = await node.look()
            assert (found.detector.state, found.detector.budget) == ("learning", 0.001)
            found = await node.until(lambda s: s.antigens.held)
            assert [(a.family, a.state, a.evidence > 0) for a in found.antigens.held] == [
                ("scan", "own", True)
            ]
            node.gateway.reload(lambda: begun)
            found = await node.look()
            assert found.detector.state == "watching"
            assert found.detector.standing == "unproven", "what was proven was for another budget"
            await node.until(lambda s: all(not a.evidence for a in s.antigens.held))

    patient(main)


def test_alerts_go_elsewhere_and_suppress_rules_are_read_again(tmp_path: Path) -> None:
    begun = settings_for(tmp_path / "a")

    async def main() -> None:
        async with running(begun) as node:
            (tmp_path / "file").touch()
            wrong = begun.with_overrides({"alerts.path": str(tmp_path / "file" / "alerts")})
            node.gateway.reload(lambda: wrong)
            found = await node.look()
            assert "cannot be written" in found.service.reload_refused
            assert found.alerts.path == str(begun.alerts_path)
            (tmp_path / "rules").write_text("")
            values = {"alerts.path": str(tmp_path / "alerts"), "detector.gap": "3 min"}
            values |= {"alerts.suppress": str(tmp_path / "rules")}
            node.gateway.reload(lambda: begun.with_overrides(values))
            found = await node.look()
            assert (found.alerts.path, found.service.restart_for) == (values["alerts.path"], ())
            assert (tmp_path / "alerts").exists()
            (tmp_path / "rules").write_text("rubbish")
            node.gateway.reload(lambda: begun.with_overrides(values))
            await node.until(lambda s: s.alerts.rules_refused)

    patient(main)


def test_a_sensor_of_no_use_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    write(log, benign(10))
    begun = settings_for(tmp_path / "a", sensor=sensor(log))

    async def main() -> None:
        async with running(begun) as node:
            await node.until(lambda s: s.detector.flows_seen == 10)
            wrong = begun.with_overrides({"sensor": [*sensor(log), *sensor(tmp_path)]})
            node.gateway.reload(lambda: wrong)
            found = await node.look()
            assert "not a regular file" in found.service.reload_refused
            assert len(found.sensors) == 1

    patient(main)
