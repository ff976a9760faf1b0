"""What import-linter cannot see: function bodies, pickling calls, and what really gets loaded."""

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.meta.sources import PACKAGES, ROOT, imported, modules, name_of, tree

PICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
# What pickles files by another name. That joblib hands tasks to processes of its own is its affair.
PICKLING_CALLS = {"torch.load", "torch.save", "joblib.load", "joblib.dump", "joblib.Memory"}


def loaded_with_module(node: ast.AST) -> Iterator[str]:
    """Names imported when a module is imported: anywhere but in function bodies."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from loaded_with_module(ast.Module(body=[other], type_ignores=[]))
            continue
        yield from imported(child)
        yield from loaded_with_module(child)


def pickling(source: ast.AST) -> list[str]:
    """Where a syntax tree pickles or unpickles, knowingly or by way of numpy or torch."""
    found = []
    for node in ast.walk(source):
        found += [
            name
            for name in imported(node)
            if name.split(".")[0] in PICKLING or name in PICKLING_CALLS
        ]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in PICKLING_CALLS:
                found.append(called)
            found += [
                f"{called}(allow_pickle=...)"
                for keyword in node.keywords
                if keyword.arg == "allow_pickle"
                and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
            ]
    return found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import scenarios", ["scenarios"]),
        ("def run():\n    import scenarios", []),
        (
            "class A:\n    import scenarios\n    def f(self):\n        import topologies",
            ["scenarios"],
        ),
        ("try:\n    import scenarios\nexcept ImportError:\n    pass", ["scenarios"]),
        ("if TYPE_CHECKING:\n    import scenarios\nelse:\n    import topologies", ["topologies"]),
        ("async def run():\n    import scenarios", []),
    ],
)
def test_imports_in_function_bodies_are_told_from_others(source: str, names: list[str]) -> None:
    assert list(loaded_with_module(ast.parse(source))) == names


def test_the_command_line_loads_other_rooms_only_inside_commands() -> None:
    files = [path for path in modules("node") if name_of(path).startswith("node/cli")]
    assert files, "node/cli should hold the command line"
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in files
        for name in loaded_with_module(tree(path))
        if name.split(".")[0] in {"scenarios", "topologies"}
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("import pickle", 1),
        ("def f():\n    from shelve import open", 2),
        ("torch.load(path)", 1),
        ("from joblib import load", 1),
        ("joblib.load(path)", 1),
        ("from joblib import Parallel", 0),
        ("numpy.load(path, allow_pickle=True)", 1),
        ("numpy.load(path, allow_pickle=flag)", 1),
        ("numpy.load(path, allow_pickle=False)", 0),
        ("import json", 0),
    ],
)
def test_pickling_is_recognised(source: str, count: int) -> None:
    assert len(pickling(ast.parse(source))) == count


def test_nothing_is_ever_pickled() -> None:
    wrong = {
        name_of(path): found
        for path in modules(*PACKAGES, "tests", "benchmarks")
        if (found := pickling(tree(path)))
    }
    assert not wrong


def loaded_by(names: list[str]) -> set[str]:
    """The top-level modules that a fresh Python has loaded after importing these."""
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_the_protocol_runs_without_torch_trio_or_libp2p() -> None:
    """A process that detects in numpy alone must not pay for torch's hundreds of megabytes."""
    names = [
        name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in modules("gossip")
        if name_of(path) != "gossip/learning/in_torch.py"
    ]
    assert "numpy" in loaded_by(names)
    assert not {"torch", "trio", "libp2p", "networkx"} & loaded_by(names)


def test_the_command_line_answers_without_waiting_for_what_commands_need() -> None:
    assert not {"torch", "libp2p", "matplotlib", "networkx"} & loaded_by(["node.cli"])


def test_neither_a_node_nor_the_simulator_loads_torch() -> None:
    """It is an extra; what a gateway never needs does not come into its memory either."""
    rare = {"torch", "scipy", "pandas", "pyarrow", "ray", "sklearn"}
    node = loaded_by(["node.gateway"])
    assert {"libp2p", "numpy"} <= node
    assert not (rare | {"matplotlib", "networkx", "joblib", "pooch", "scenarios"}) & node
    world = ["scenarios.runs.show", "scenarios.runs.simulate", "scenarios.measures.judges"]
    assert not rare & loaded_by(world)
