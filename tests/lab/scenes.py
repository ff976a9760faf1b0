"""Small scenarios for the Lab."""

from typing import Any

from node.config.tables import from_table
from scenarios.plan.plan import Plan, make_plan
from scenarios.spec.scenario import Scenario

WHERE = "lab.toml"


def plan(seed: int = 1, **tables: Any) -> Plan:
    """Five peers for three seconds; each keyword replaces keys of a table, or lists."""
    spec: dict[str, Any] = {
        "mesh": {"peers": 5, "duration": "3 s", "cycle": "400 ms", "lost_after": "1 s"},
        "data": {"rows": 60, "features": 20, "calibrate_rows": 300},
        "learning": {"train": "20 ms", "evaluate": "1 s", "alarm_budget": "5 %"},
        "links": {"latency": "2 ms"},
        "churn": {"join_over": "500 ms"},
    }
    for name, keys in tables.items():
        spec[name] = spec.get(name, {}) | keys if isinstance(keys, dict) else keys
    return make_plan(from_table(Scenario, spec, WHERE), seed, WHERE)
