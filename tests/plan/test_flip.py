"""Every field of the spec: what an edit of it makes stale, held against the table in docs/fields.md."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import Where
from embspec.plan.nodes import ITEM
from embspec.plan.plan import RUN, Plan, Recipes
from embspec.plan.refuse import Limits, consumed, refused
from embspec.plan.values import Wish
from embspec.spec.fields import Field, fields
from embspec.spec.load import load
from embspec.stages.limits import GATE_METRICS, GATE_REFUSED, LIMITS, REQUIRES, UNKEYED
from embspec.stages.street import INTRODUCED, SHARED, STREET
from tests.support.everything import BASE, VARIANTS
from tests.support.toys import Did, Toys, Work

TABLE = Path(__file__).parents[2] / "docs" / "fields.md"
BUILT = Limits(UNKEYED, LIMITS, REQUIRES, GATE_METRICS, GATE_REFUSED)
HEAD = """# Fields

Every field of the spec, and what an edit of it makes stale by itself. What stands on a stale stage runs too, unless
its bytes stay the same. `snapshot` means that the documents which the model world sees move to the live ones. `nothing`
means that no stage sees the field. `refused` means that this version builds no other value of the field than its
default, and says so where another is written. `{name}` is the name of an item, `{key}` a word of your own, `{n}` a
number, `{line}` a gate.

Written by `pytest tests/plan/test_flip.py --pin`, and held by that test: it edits every field and compares.

| field | what it is | an edit makes stale |
|---|---|---|
"""

# Another value of each field, where its type does not say one; paths as the base spec names its items.
VALUES: Mapping[str, str] = {
    "name": "other",
    "version": "2.0.0",
    "description": "another",
    "corpus.path": "docs/*.md",
    "corpus.fields.id": "x",
    "corpus.fields.text": "x",
    "corpus.fields.title": "x",
    "corpus.fields.document": "x",
    "corpus.metadata": "[kind, date]",
    "corpus.dedup.near": "0.8",
    "corpus.max_truncated_fraction": "0.1",
    "corpus.chunking.strategy": "{strategy: sentences, n: 5}",
    "corpus.chunking.tokens": "{strategy: structure, tokens: 64}",
    "corpus.chunking.overlap": "{strategy: structure, overlap: 8}",
    "corpus.chunking.context": "{strategy: structure, context: headings}",
    "corpus.chunking.context.command": "{strategy: structure, context: {command: python say.py}}",
    "corpus.chunking.context.tokens": "{strategy: structure, context: {command: python say.py, tokens: 9}}",
    "corpus.chunking.n": "{strategy: sentences, n: 3}",
    "pairs.gold.path": "other.csv",
    "pairs.{name}.from": "{name: gold, from: headings, trust: gold}",
    "pairs.gold.qrels": "dev",
    "pairs.gold.roles": "[test]",
    "pairs.gold.fields.query": "question",
    "eval.metrics": "[recall@10, mrr@10]",
    "split.near_duplicate_threshold": "0.8",
    "split.time_column": "asked",
    "split.test": "0.4",
    "split.validation": "0.2",
    "eval.bm25.k1": "0.9",
    "eval.bm25.b": "0.5",
    "eval.suites": "{again: {split: test}}",
    "eval.suites.{key}.by": "{again: {split: test, by: document}}",
    "gates": "[recall@10 of bm25 >= 0.6]",
    "model.base": "./other",
    "model.base.static.weights": "{static: {weights: w.safetensors, tokenizer: t.json}}",
    "model.base.static.tokenizer": "{static: {weights: w.safetensors, tokenizer: t.json}}",
    "model.revision": "5b1e",
    "model.prompts.query": "other",
    "model.prompts.document": "other",
    "model.method": "lora",
    "negatives.miners.{n}.kind": "{kind: random, num_negatives: 2}",
    "negatives.miners.{n}.path": "{kind: file, path: hard.jsonl}",
    "negatives.miners.1.model": "org/other",
    "negatives.guard.relative_margin": "0.1",
    "negatives.guard.absolute_margin": "0.1",
    "negatives.guard.max_score": "0.9",
    "negatives.guard.cross_encoder": "org/name",
    "negatives.guard.exclude": "[siblings]",
    "loss.name": "MultipleNegativesRankingLoss",
    "loss.scale": "10.0",
    "loss.mini_batch_size": "16",
    "loss.directions": "[query_to_doc, doc_to_query]",
    "loss.matryoshka": "null",
    "loss.matryoshka.dims": "[32, 8]",
    "loss.matryoshka.weights": "[1, 2]",
    "loss.matryoshka.n_dims_per_step": "1",
    "loss.regularize.merge_with_base": "0.6",
    "train.num_train_epochs": "2",
    "train.learning_rate": "3e-5",
    "train.warmup_steps": "0.2",
    "train.weight_decay": "0.1",
    "train.early_stopping": "null",
    "train.early_stopping.metric": "recall@10",
    "train.evals_per_epoch": "2",
    "train.checkpoint_minutes": "2.5",
    "train.max_seconds": "60",
    "numerics.profile": "native",
    "numerics.threads": "1",
    "numerics.device": "cuda",
    "eval.dims": "[32, 16]",
    "eval.precisions": "[float32, int8]",
    "eval.systems": "[base, bm25]",
    "export.onnx": "false",
    "export.onnx.int8": "false",
    "index.truncate_dim": "32",
    "index.truncate_dim.smallest.metric": "{smallest: {metric: recall@10}}",
    "index.truncate_dim.smallest.min_retention": "{smallest: {min_retention: 0.9}}",
}
# Flipped as a whole: a field whose items have names of their own.
WHOLE = {
    "eval.suites.{key}.split": "eval.suites",
    "eval.suites.{key}.by": "eval.suites",
    "gates.{line}": "gates",
    "pairs.{name}.fields.{key}": "pairs.gold.fields.query",
    "pairs.{name}.from": "pairs.gold",
    "model": "model.base",
    **{f"corpus.chunking.{name}": "corpus.chunking" for name in (
        "strategy", "tokens", "overlap", "context", "context.command", "context.tokens", "n")},
    "negatives.miners.{n}.kind": "negatives.miners.1",
    "negatives.miners.{n}.path": "negatives.miners.1",
    "model.base.static.weights": "model.base",
    "model.base.static.tokenizer": "model.base",
    "index.truncate_dim.smallest.metric": "index.truncate_dim",
    "index.truncate_dim.smallest.min_retention": "index.truncate_dim",
}
ONE_VALUE = {"embspec", "eval.statistics.test"}
WORDING = {"extends", "unset"}  # how a spec is put together; what they bring stands under its own field


def read(folder: Path, text: str = BASE, sets: tuple[str, ...] = ()) -> tuple[dict[str, Any], dict[str, Where]]:
    """The values of a spec, and where they were written."""
    path = folder / "x.yaml"
    path.write_text(text)
    found = load(os.path.relpath(path), sets, root=str(folder))
    return found.values, found.written


def refusals(values: Mapping[str, Any], written: Mapping[str, Where]) -> set[str]:
    """What the plan refuses of a spec."""
    return {path for path, _ in refused(values, written, STREET, BUILT)}


def constant(work: Work) -> Did:
    """Artefacts that are always the same bytes: only a stage's own ingredients make it stale."""
    step = work.step
    return Did({a: f"{step.node.name}/{a}" for a in step.node.makes}, {p: p for p in step.node.pins})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Toys:
    """The base spec, built, with a live corpus that has left the snapshot behind."""
    toys = Toys({})
    toys.street, toys.recipes = STREET, Recipes(SHARED, INTRODUCED)
    toys.values, written = read(tmp_path_factory.mktemp("base"))
    assert not refusals(toys.values, written)
    names = {s.name.replace(ITEM, n) for s in STREET for n in ("gold", "faq")}
    toys.work = dict.fromkeys(names, constant)
    toys.build()
    toys.work["corpus"] = lambda work: Did({"documents.jsonl": "moved", "manifest": "moved"})
    toys.build(Wish(refresh=frozenset({"corpus"})))
    assert not toys.plan().work
    return toys


def concrete(path: str) -> str:
    """The path of a field in the base spec."""
    return path.replace("{name}", "gold").replace("{n}", "1")


def another(field: Field, value: Any) -> str:
    """A value of the same type that is not this one."""
    path = WHOLE.get(field.path, concrete(field.path))
    if found := VALUES.get(field.path, VALUES.get(path)):
        return found
    choices = [c for c in field.choices if c is not None and c != value]
    built = LIMITS.get(re.sub(r"\{[a-z]+\}", "*", field.path), choices)
    if isinstance(value, bool):
        return str(not value).lower()
    if choices:
        return str(next((c for c in choices if c in built), choices[0]))
    assert isinstance(value, int), f"no other value is known for {field.path}: {value!r}"
    return str(value + 1)


def moved(before: Plan, after: Plan) -> set[str]:
    """The stages whose own ingredients are others, and the followers that move."""
    then, now = ({s.node.name: s for s in p.steps} for p in (before, after))
    names = set(then.keys() ^ now.keys())
    for name, step in ((name, step) for name, step in now.items() if name in then):
        own, old = ({k: v for k, v in s.named.items() if not k.startswith("needs ")} for s in (step, then[name]))
        if own != old or (step.node.stage.follow and step.why):
            assert step.state == RUN or step.node.stage.follow
            names.add(name)
    return names


def effect(field: Field, base: Toys, folder: Path) -> str:
    """What an edit of one field makes stale, as the table says it."""
    if field.path in WORDING:
        return "nothing"
    before, values, path = base.plan(), base.values, WHOLE.get(field.path, concrete(field.path))
    nothing_built = any(not values and field.path.startswith(section) for section, values in LIMITS.items())
    obeyed = consumed(STREET, BUILT, concrete(field.path).replace("{key}", "domain"))
    if nothing_built or field.path in ONE_VALUE or not obeyed:
        return "refused"
    now, written = read(folder, BASE, (f"{path}={another(field, values.get(path))}",))
    assert now != values, field.path
    if refusals(now, written):
        return "refused"
    base.values = now
    try:
        names = moved(before, base.plan())
    finally:
        base.values = values
    streets = [s.name for s in STREET]
    shown = {name if name in streets else f"{name.split('.')[0]}.{ITEM}" for name in names}
    return ", ".join(sorted(shown, key=streets.index)) or "nothing"


def table() -> dict[str, str]:
    """The rows of docs/fields.md: field and effect."""
    rows = re.findall(r"^\| `([^`]+)` \| .* \| (.+) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


def test_every_edit_makes_stale_what_the_docs_say(
    base: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Each field in the table is in the schema and the other way round; the exact set of stale stages is the same."""
    monkeypatch.chdir(tmp_path)
    found = {field.path: effect(field, base, tmp_path) for field in fields()}
    if request.config.getoption("--pin"):
        rows = "".join(f"| `{f.path}` | {f.text} | {found[f.path]} |\n" for f in fields())
        TABLE.write_text(HEAD + rows, encoding="utf-8")
    assert table() == found


def test_the_table_is_the_one_that_is_generated() -> None:
    """Its words too."""
    lines = TABLE.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()
    assert lines == [f"| `{f.path}` | {f.text} | {table()[f.path]} |" for f in fields()]


def matches(field: str, path: str) -> bool:
    """Whether a path is one of this field's."""
    return bool(
        re.fullmatch(re.sub(r"\\\{[a-z]+\\\}", "[^.]+" if "line" not in field else ".+", re.escape(field)), path)
    )


def expected(field: str, said: str, value: Any) -> bool:
    """Whether a field with this value is refused: of some fields some values are built."""
    built = LIMITS.get(re.sub(r"\{[a-z]+\}", "*", field))
    if built is not None:
        return any(v not in built for v in (value if isinstance(value, list) else [value]))
    return said == "refused" and field not in ONE_VALUE


def test_what_the_docs_call_refused_is_refused_where_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In specs that write every field: the refused ones are refused by name or by their section, the others never."""
    monkeypatch.chdir(tmp_path)
    rows, seen = table(), set()
    for text in VARIANTS.values():
        values, written = read(tmp_path, text)
        named = refusals(values, written)
        for field, said in rows.items():
            paths = [p for p in values if p in written and matches(field, p)]
            seen |= {field for _ in paths}
            for path in paths:
                above = {".".join(path.split(".")[:n]) for n in range(1, path.count(".") + 2)} | {path}
                assert bool(above & named) == expected(field, said, values[path]), (field, path, said)
    sections = {f for f in rows if any(other.startswith(f + ".") for other in rows)}
    assert set(rows) - seen - sections - WORDING == set()


def test_what_puts_a_spec_together_makes_nothing_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same values by `extends`, and an `unset` of what was not set, are the same spec."""
    monkeypatch.chdir(tmp_path)
    values, _ = read(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)
    again, _ = read(tmp_path, "embspec: 1\nextends: base.yaml\nunset: [corpus.dedup.near]\n")
    assert again == values
