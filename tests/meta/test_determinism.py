"""The same seed gives the same run: no clock, no global randomness, no order that hashing decides.

These are checks by reading, and reading has limits: an alias, or a set that comes back from a
function, escapes them. The proof that nothing did is the trace hash under two values of
PYTHONHASHSEED; this file names the line when somebody slips.
"""

import ast

import pytest

from tests.meta.sources import imported, modules, name_of, tree

ROOMS = ("gossip", "scenarios")

CLOCKS_AND_CHANCE = {"random", "secrets", "time", "uuid"}

# Each with the module it may import and the reason; one that is no longer needed fails, too.
ALLOWED = {
    "scenarios/baselines/run.py": ("time", "tells a person how fast the run went"),
    "scenarios/lab/member.py": ("time", "a node in real time, which asks for rows by the clock"),
    "scenarios/lab/run.py": ("time", "runs a scenario in real time: a second takes a second"),
    "scenarios/runs/simulate.py": (
        "time",
        "tells a person how fast the run went, and how often to look up, outside the trace",
    ),
}

CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "date.today",
    "datetime.date.today",
    "os.urandom",
    "os.getpid",
    "id",
    "hash",
}
GENERATORS = {"Generator", "Philox", "BitGenerator", "SeedSequence"}  # given a key by draws.py

# Calls whose result does not depend on the order in which they are given things.
ORDERLESS = {"sorted", "set", "frozenset", "any", "all", "min", "max"}
# Calls that take things in the order in which a set happens to hold them.
ORDERED = {"list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "sum", "dict"}


def clocks_and_chance(source: ast.AST) -> list[str]:
    """Every call and numpy name in a tree that would differ between two runs."""
    found = []
    for node in ast.walk(source):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS:
            found.append(f"line {node.lineno}: {ast.unparse(node.func)}()")
        if (
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value) in {"np.random", "numpy.random"}
            and node.attr not in GENERATORS
        ):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


class SetOrder(ast.NodeVisitor):
    """Collects the places where one function, or a module's top, goes through a set in order.

    Known as sets: displays, comprehensions, calls of set() and frozenset(), their unions and
    differences; and names and `self` attributes assigned from or annotated as one in this file.
    """

    def __init__(self, source: ast.Module) -> None:
        self.found: list[str] = []
        self.attributes = {
            ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
            for node in ast.walk(source)
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and self.makes_set(node, frozenset())
            and isinstance(
                node.target if isinstance(node, ast.AnnAssign) else node.targets[0], ast.Attribute
            )
        }
        for node in ast.walk(source):
            if isinstance(node, ast.ClassDef):
                self.attributes |= {
                    f"self.{item.target.id}"
                    for item in node.body
                    if isinstance(item, ast.AnnAssign)
                    and isinstance(item.target, ast.Name)
                    and annotated_set(item.annotation)
                }
        self.names: frozenset[str] = frozenset()
        self.enter(source)

    def makes_set(self, node: ast.Assign | ast.AnnAssign, names: frozenset[str]) -> bool:
        if isinstance(node, ast.AnnAssign):
            return annotated_set(node.annotation)
        return self.is_set(node.value, names)

    def is_set(self, node: ast.AST, names: frozenset[str]) -> bool:
        if isinstance(node, ast.Set | ast.SetComp):
            return True
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"set", "frozenset"}:
                return True
            return isinstance(node.func, ast.Attribute) and (
                node.func.attr
                in {"union", "intersection", "difference", "symmetric_difference", "copy"}
                and self.is_set(node.func.value, names)
            )
        if isinstance(node, ast.BinOp) and isinstance(
            node.op, ast.BitOr | ast.BitAnd | ast.Sub | ast.BitXor
        ):
            return self.is_set(node.left, names) or self.is_set(node.right, names)
        if isinstance(node, ast.Name):
            return node.id in names
        if isinstance(node, ast.Attribute):
            return ast.unparse(node) in getattr(self, "attributes", ())
        return False

    def enter(self, scope: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer = self.names
        names = set(outer)
        if not isinstance(scope, ast.Module):
            given = [*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs]
            names -= {argument.arg for argument in given}
            names |= {
                argument.arg
                for argument in given
                if argument.annotation and annotated_set(argument.annotation)
            }
        for node in own(scope):
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                if isinstance(target, ast.Name) and self.makes_set(node, frozenset(names)):
                    names.add(target.id)
        self.names = frozenset(names)
        for child in ast.iter_child_nodes(scope):
            self.visit(child)
        self.names = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.enter(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.enter(node)

    def note(self, node: ast.expr) -> None:
        if self.is_set(node, self.names):
            self.found.append(f"line {node.lineno}: {ast.unparse(node)}")

    def visit_For(self, node: ast.For) -> None:
        self.note(node.iter)
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self.note(node.value)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self.through(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self.through(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self.through(node)

    def through(self, node: ast.ListComp | ast.DictComp | ast.GeneratorExp) -> None:
        for part in node.generators:
            self.note(part.iter)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func)
        if called in ORDERED or called.endswith((".join", ".extend", ".fromiter")):
            for argument in node.args:
                self.note(argument)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
            self.note(node.func.value)
        for child in ast.iter_child_nodes(node):
            if (
                called in ORDERLESS
                and isinstance(child, ast.GeneratorExp | ast.ListComp)
                and not (called in {"any", "all"} and isinstance(child.elt, ast.Call))
            ):
                self.generic_visit(child)  # whatever the order, the result is the same
            else:
                self.visit(child)


def own(scope: ast.AST) -> list[ast.AST]:
    """The nodes of a scope without those of the functions inside it."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found += [child, *own(child)]
    return found


def annotated_set(annotation: ast.expr) -> bool:
    return ast.unparse(annotation).strip("\"'").split("[")[0] in {
        "set",
        "frozenset",
        "AbstractSet",
        "MutableSet",
    }


@pytest.mark.parametrize(
    "source",
    [
        "for x in {1, 2}: pass",
        "a = set(b)\nfor x in a: pass",
        "def f(a: set[int]):\n    return list(a)",
        "def f(a):\n    b = a - {1}\n    return [x for x in b]",
        "def f():\n    s: set[str] = g()\n    s.pop()",
        "print(*{1, 2})",
        "','.join({x for x in y})",
        "class A:\n    def f(self):\n        self.s = set()\n        return [*self.s]",
        "class A:\n    s: frozenset[str]\n    def g(self):\n        return tuple(self.s)",
        "def f(a: set[float]):\n    return sum(a)",
        "any(send(x) for x in {1, 2})",  # how many are called depends on the order
    ],
)
def test_going_through_a_set_is_noticed(source: str) -> None:
    assert len(SetOrder(ast.parse(source)).found) == 1


@pytest.mark.parametrize(
    "source",
    [
        "for x in sorted({1, 2}): pass",
        "def f(a: set[int]):\n    return 1 in a and len(a) and max(a)",
        "def f():\n    a = set()\ndef g(a: list[int]):\n    return list(a)",
        "sorted(x for x in {1, 2})",
        "sorted(str(x) for x in {1, 2})",
        "def f(a: list[int]):\n    return [x for x in a if x not in {1, 2}]",
        "a = {1: 2}\nfor x in a: pass",
        "{x + 1 for x in {1, 2}}",
        "a.pop()",
    ],
)
def test_orderless_use_of_a_set_is_fine(source: str) -> None:
    assert SetOrder(ast.parse(source)).found == []


@pytest.mark.parametrize(
    "source", ["datetime.now()", "x = np.random.rand(3)", "numpy.random.seed(0)", "hash('a')"]
)
def test_clocks_and_chance_are_noticed(source: str) -> None:
    assert len(clocks_and_chance(ast.parse(source))) == 1


def test_keyed_generators_are_fine() -> None:
    assert clocks_and_chance(ast.parse("np.random.Generator(np.random.Philox(key=k))")) == []


def test_no_order_depends_on_a_set() -> None:
    wrong = {
        name_of(path): found for path in modules(*ROOMS) if (found := SetOrder(tree(path)).found)
    }
    assert not wrong, "sort it first, or use a dict for an ordered set"


def test_no_clock_is_read_and_no_chance_taken() -> None:
    wrong = {
        name_of(path): found for path in modules(*ROOMS) if (found := clocks_and_chance(tree(path)))
    }
    assert not wrong, "time comes in as now_us, chance from gossip/draws.py"


def test_clocks_and_chance_are_imported_only_where_a_reason_is_given() -> None:
    imports = {
        (name_of(path), name)
        for path in modules(*ROOMS)
        for node in ast.walk(tree(path))
        for full in imported(node)
        if (name := full.split(".")[0]) in CLOCKS_AND_CHANCE
    }
    assert imports == {(path, name) for path, (name, _) in ALLOWED.items()}
