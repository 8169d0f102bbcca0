"""The house's table of rooms, held by walking the imports of every file."""
from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from embspec.stages.street import STREET
from embspec.store.memo import BESIDE

PACKAGE = Path(__file__).parents[2] / "embspec"

# Room -> the rooms, or single modules, it may import. The package itself (its version) and `errors` are open to all.
# The longest name that fits is a module's room; a stage's own folder is its own.
MAY: dict[str, tuple[str, ...]] = {
    "": ("api",),
    "__main__": ("plan", "lock", "store", "stages.street", "cli"),
    "errors": (),
    "git": (),
    "plan": (),
    "lock": ("plan",),
    "store": ("plan",),
    "spec": ("measure.gate", "measure.gate_words", "measure.metrics"),
    "measure": (),
    "retrieval": (),
    "report": ("measure", "plan", "lock"),
    "stages.street": ("plan.protocol", "stages.conditions", "stages.live"),
    "stages.conditions": ("plan.protocol", "stages.live"),
    "stages.live": ("plan.protocol",),
    "stages.limits": (),
    "stages.forms": (),
    "stages.reading": ("plan.protocol",),
    "stages.faq": ("stages.reading",),
    "stages.asking": ("plan.protocol", "stages.reading"),
    "stages.outline": (),
    "stages.counted": ("plan.protocol", "retrieval"),
    "stages.snapshot": ("plan.protocol", "retrieval", "stages.counted"),
    "stages.dims": ("plan.protocol",),
    "stages.engines": ("retrieval",),
    "stages.tokens": ("retrieval.pieces", "stages.engines"),
    "stages.encoder": ("plan.protocol", "retrieval", "stages.engines"),
    "stages.reranker": ("plan.protocol", "retrieval", "stages.engines"),
    "stages.searching": ("plan.protocol", "retrieval"),
    "stages.ranking": ("plan.protocol", "retrieval", "stages.dims", "stages.encoder", "stages.snapshot"),
    "stages": (
        "plan.protocol", "measure", "retrieval", "stages.asking", "stages.counted", "stages.dims", "stages.encoder",
        "stages.engines", "stages.ranking", "stages.faq", "stages.lazily", "stages.live", "stages.outline",
        "stages.reading", "stages.reranker", "stages.searching", "stages.snapshot", "stages.times", "stages.tokens",
    ),
    "stages.report": ("plan.protocol", "measure", "report", "stages.snapshot"),
    "stages.card": ("plan.protocol", "measure", "report", "stages.snapshot"),
    "run": ("plan", "lock", "store", "stages.street", "git"),
    "serve": ("plan", "store"),
    "serve.search": ("plan.protocol", "retrieval", "serve.manifest", "stages.encoder", "stages.snapshot"),
    "decide": ("measure", "retrieval", "plan", "lock", "git", "store"),
    "decide.mined": ("plan", "store", "decide.negative", "stages.forms", "stages.snapshot"),
    "api": (
        "spec", "plan", "lock", "store", "run", "stages.street", "stages.limits", "stages.forms", "git", "decide",
        "measure", "retrieval", "report", "serve",
    ),
    # What begins a project reads its files with the readers of the stages, and tries its spec as `check` does.
    "init": (
        "spec", "plan", "store", "git", "run.dry", "measure.stats", "retrieval.languages", "stages.street",
        "stages.reading", "stages.faq", "stages.corpus", "stages.pairs",
    ),
    "cli": ("api", "init", "spec", "plan", "lock", "report"),
}

HEAVY = ("click", "numpy", "pydantic", "ruamel", "rich", "torch", "transformers")
CLOCK = ("datetime", "time")
NETWORK = ("http", "requests", "socket", "ssl", "urllib.request")
DISK = ("io", "os", "pathlib", "shutil", "tempfile")

# Room -> what it must not import, wherever in a file; what stands under TYPE_CHECKING is free.
MUST_NOT: dict[str, tuple[str, ...]] = {
    "__main__": HEAVY,
    "errors": HEAVY,
    "git": HEAVY,
    "plan": (*HEAVY, *CLOCK, *NETWORK, *DISK, "platform", "random", "subprocess"),
    "lock": (*HEAVY, *CLOCK, *NETWORK, *DISK, "subprocess"),
    "store": HEAVY,
    "run": HEAVY,
    "stages.street": (*HEAVY, *CLOCK, *NETWORK, *DISK),
    "stages.conditions": (*HEAVY, *CLOCK, *NETWORK, *DISK),
    "stages": ("time", *NETWORK, "subprocess", "click", "rich"),  # a date in a document is a value, not the clock
    "spec": ("torch", "transformers", *NETWORK),
    "measure": ("torch", *DISK, *CLOCK, *NETWORK),
    "retrieval": (*DISK, *CLOCK, *NETWORK),
    "report": ("torch", *CLOCK, *NETWORK),
    "init": ("click", "torch", "transformers", *CLOCK, *NETWORK),
    "cli": ("hashlib", "torch", "xxhash"),
}

# What both sides of the grammar share; spec/ reads it without paying for arrays.
STANDARD_LIBRARY_ONLY = ("measure.gate", "measure.gate_words", "measure.metrics")


class Import(NamedTuple):
    """One imported module, and how it is imported."""

    name: str
    line: int
    at_top: bool
    for_types: bool


def modules() -> dict[str, Path]:
    """Every module by its name below the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room(module: str) -> str:
    """The row of the table that a module falls under."""
    parts = module.split(".")
    names = (".".join(parts[:i]) for i in range(len(parts), 0, -1))
    return next((name for name in names if name in MAY), "?")


def imports(path: Path) -> list[Import]:
    """Every import of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return list(_walk(tree, True, False))


def _walk(node: ast.AST, top: bool, types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, top, types) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"a relative import in line {child.lineno}"
            yield from (Import(name, child.lineno, top, types) for name in _named(child))
        else:
            inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            only = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
            yield from _walk(child, top and not inner, types or only)


def _named(node: ast.ImportFrom) -> list[str]:
    """`from embspec.plan import words` names a module, `from embspec.plan.plan import Plan` something in one."""
    module = node.module or ""
    below = [f"{module}.{alias.name}" for alias in node.names]
    is_package = module.split(".")[0] == "embspec" and module.removeprefix("embspec").lstrip(".") in MODULES
    return [b if is_package and b.removeprefix("embspec.") in MODULES else module for b in below]


def allowed(module: str, target: str) -> bool:
    """Whether the table lets one module import another."""
    own = ".".join(module.split(".")[:2]) if module.startswith("stages.") else room(module)
    open_to = ("errors", own, *MAY[room(module)]) if own else ("errors", *MAY[""])
    return target == "" or any(target == name or target.startswith(name + ".") for name in open_to if name)


@pytest.mark.parametrize(("module", "target", "may"), [
    ("plan.keys", "store.files", False),
    ("plan.keys", "plan.plan", True),
    ("store.world", "spec.load", False),
    ("run.stage", "stages.split.make", False),
    ("stages.split.make", "stages.corpus.make", False),
    ("stages.split.make", "stages.split.graph", True),
    ("stages.split.make", "errors", True),
    ("spec.gates", "measure.stats", False),
    ("cli.build", "run.build", False),
])
def test_the_table_tells_apart(module: str, target: str, may: bool) -> None:
    """What the house forbids is refused, so that silence of the tests below means something."""
    assert allowed(module, target) is may


def test_every_room_has_a_row() -> None:
    """A new room is written into the table before it is furnished, and a row without a room goes."""
    assert [m for m in MODULES if room(m) == "?"] == []
    assert [r for r in MAY if r and r not in MODULES and PACKAGE.joinpath(*r.split(".")).is_dir() is False] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_follow_the_table(module: str) -> None:
    """The data walks one street, and no room knows one that it has no business with."""
    ours = [i for i in imports(MODULES[module]) if i.name.split(".")[0] == "embspec"]
    targets = [(i.line, i.name.removeprefix("embspec").removeprefix(".")) for i in ours]
    assert [t for t in targets if not allowed(module, t[1])] == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_what_a_room_must_not_import(module: str) -> None:
    """Planning has no clock and no disk, measuring no files, a stage no network."""
    banned = MUST_NOT.get(room(module), ())
    found = [i for i in imports(MODULES[module]) if not i.for_types]
    assert [(i.line, i.name) for i in found for b in banned if i.name == b or i.name.startswith(b + ".")] == []


@pytest.mark.parametrize("module", STANDARD_LIBRARY_ONLY)
def test_the_gate_grammar_is_light(module: str) -> None:
    """A spec is read without numpy."""
    free = sys.stdlib_module_names | {"embspec"}
    assert [i.name for i in imports(MODULES[module]) if i.name.split(".")[0] not in free] == []
    below = [i.name.removeprefix("embspec.") for i in imports(MODULES[module]) if i.name.startswith("embspec")]
    assert set(below) <= {*STANDARD_LIBRARY_ONLY, "errors"}


def test_the_door_imports_late() -> None:
    """`--version` pays for nothing but the version, and a command is imported when it is called."""
    assert {i.name for i in imports(MODULES["__main__"]) if i.at_top} == {"__future__", "embspec", "sys"}


def test_the_run_imports_no_stage_at_its_top() -> None:
    """A stage is imported when it must run, by the name in its declaration."""
    assert all(stage.make.startswith("embspec.stages.") for stage in STREET if not stage.follow)
    run = [i.name for m, path in MODULES.items() if room(m) == "run" for i in imports(path)]
    assert [name for name in run if name.startswith("embspec.stages.") and name != "embspec.stages.street"] == []


def test_the_spec_cache_watches_what_the_spec_imports() -> None:
    """Code that decides what a spec means, and lies outside spec/, makes the remembered values old too."""
    outside = {i.name for m, path in MODULES.items() if room(m) == "spec" for i in imports(path)}
    files = {name.removeprefix("embspec.").replace(".", "/") + ".py" for name in outside if name.startswith("embspec.")}
    assert {f for f in files if not f.startswith("spec/")} - {"errors.py"} <= set(BESIDE)


@pytest.mark.parametrize("module", sorted(m for m in MODULES if room(m).startswith(("stages", "measure", "retrieval"))))
def test_no_stage_asks_for_the_time(module: str) -> None:
    """Bytes that name today would be other bytes tomorrow."""
    nodes = ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert [n.lineno for n in nodes if isinstance(n, ast.Attribute) and n.attr in ("now", "today", "utcnow")] == []


@pytest.mark.parametrize("name", ["plan", "lock", "store", "run"])
def test_the_machine_knows_no_stage_by_name(name: str) -> None:
    """Stages are a table; what plans, stores and runs them has no case for any one. `words` has the keys of --json."""
    names = {stage.name.split(".")[0] for stage in STREET}
    found = [
        (module, node.lineno, node.value)
        for module, path in MODULES.items() if room(module) == name and module != "plan.words"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert found == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_sizes(module: str) -> None:
    """A file is read in one sitting, a function on one screen."""
    path = MODULES[module]
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= (60 if module == "__main__" else 400)
    functions = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)]
    assert [(f.name, f.lineno) for f in functions if (f.end_lineno or 0) - f.lineno + 1 > 60] == []


@pytest.mark.parametrize("module", sorted(m for m, path in MODULES.items() if path.name == "__init__.py" and m))
def test_a_package_file_holds_a_docstring_only(module: str) -> None:
    """Importing one module of a room imports no other."""
    body = ast.parse(MODULES[module].read_text(encoding="utf-8")).body
    assert all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in body)
    assert len(body) <= 1
