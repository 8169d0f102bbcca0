"""`--set FIELD=VALUE`: the paths the lock shows, values as YAML reads them."""
from __future__ import annotations

import pytest

from embspec.errors import Where
from tests.spec.conftest import Specs

SPEC = """embspec: 1
corpus: {path: docs.jsonl}
model: {base: a/b}
pairs:
  - {name: gold, path: gold.jsonl, fields: {query: q}}
  - {name: synth, path: synth.jsonl, trust: synthetic}
"""

GOOD = [
    ("seed=7", "seed", 7),
    ("seed=1e1", "seed", 10),
    (" split.test = 0.2", "split.test", 0.2),
    ("pairs.synth.weight=2", "pairs.synth.weight", 2.0),
    ("pairs.gold.fields.query=frage", "pairs.gold.fields.query", "frage"),
    ("loss.matryoshka=null", "loss.matryoshka", None),
    ("loss.matryoshka={dims: [256]}", "loss.matryoshka.dims", [256]),
    ("negatives.miners.2.num_negatives=8", "negatives.miners.2.num_negatives", 8),
    ("negatives.miners=[{kind: random}]", "negatives.miners.1.kind", "random"),
    ("eval.suites.ood.path=ood.jsonl", "eval.suites.ood.path", "ood.jsonl"),
    ("eval.dims=[64, 32]", "eval.dims", [64, 32]),
    ("train.args.adam_beta1=0.8", "train.args.adam_beta1", 0.8),
    ("corpus.path=[a, b]", "corpus.path", ["a", "b"]),
    ("model.base.static={weights: w, tokenizer: t}", "model.base.static.weights", "w"),
    ("corpus.chunking={strategy: sentences, n: 2}", "corpus.chunking.n", 2),
    ("gates=[recall@10 of bm25 >= .5]", "gates.recall@10 of bm25 >= 0.5", "on"),
    ("name=", "name", None),
    ("version=3.10", "version", "3.10"),
]


@pytest.mark.parametrize(("written", "field", "value"), GOOD)
def test_a_value_is_laid_over_the_spec(specs: Specs, written: str, field: str, value: object) -> None:
    """Named items go by name, others by number from 1, also where the spec leaves the list to its default."""
    found = specs.load(SPEC, written)
    assert found.values[field] == value
    assert type(found.values[field]) is type(value)
    assert found.written[field] == Where(f"--set {written}")


def test_later_sets_win(specs: Specs) -> None:
    """They are laid over one another in the order they are given, and leave the rest as it was."""
    found = specs.load(SPEC, "split.test=0.3", "split={test: 0.4, by: group}", "split.by=query")
    assert (found.values["split.test"], found.values["split.by"]) == (0.4, "query")
    assert found.values["pairs.gold.path"] == "gold.jsonl"
    assert specs.load(SPEC).values["split.test"] == 0.15


def test_negatives_set_by_number_keep_their_other_defaults(specs: Specs) -> None:
    """Only the item that is addressed changes."""
    found = specs.load(SPEC, "negatives.miners.1.num_negatives=9").values
    plain = specs.load(SPEC).values
    assert {path for path in plain if plain[path] != found[path]} == {"negatives.miners.1.num_negatives"}


BAD = [
    ("split.test", "spec.set"),
    ("=3", "spec.set"),
    ("pairs.sinth.weight=2", "spec.set"),
    ("pair.gold.weight=2", "spec.set"),
    ("learning_rate=3", "spec.set"),
    ("negatives.miners.3.kind=dense", "spec.set"),
    ("negatives.miners.first.kind=dense", "spec.set"),
    ("extends=other.yaml", "spec.set"),
    ("embspec=2", "spec.set"),
    ("gates.recall@10 >= 0.8=on", "spec.set"),
    ("name=[", "spec.syntax"),
    ("seed=many", "spec.type"),
    ("split.by=paragraph", "spec.choice"),
    ("corpus.path=../../elsewhere", "spec.path"),
    ("corpus=null", "spec.type"),
]


@pytest.mark.parametrize(("written", "code"), BAD)
def test_what_is_wrong_names_the_set(specs: Specs, written: str, code: str) -> None:
    """The place of a problem is the argument, as it was given."""
    problem = specs.one(SPEC, written)
    assert (problem.code, problem.where) == (code, Where(f"--set {written}"))


def test_all_that_is_wrong_is_told_at_once(specs: Specs) -> None:
    """Mistakes of the spec and of every `--set` come together."""
    codes = [problem.code for problem in specs.problems(SPEC + "risk: none\n", "seed=x", "foo=1", "los.scale=2")]
    assert sorted(codes) == ["spec.choice", "spec.set", "spec.set", "spec.type"]
    assert "`loss.scale`" in str(specs.one(SPEC, "los.scale=2"))
    assert "`train.learning_rate`" in str(specs.one(SPEC, "learning_rate=2"))


def test_a_secret_that_is_set_is_not_repeated(specs: Specs) -> None:
    """Messages and positions reach logs: of an address or a key only the field is told."""
    problem = specs.one(SPEC, "remote.url=postgres://me:hunter2@db/x")
    assert problem.code == "spec.secret"
    assert "hunter2" not in str(problem)
    for written in (
        "model.base.vectors.endpoint.api_key=hunter2",
        "model.base={vectors: {endpoint: {api_key: hunter2}}}",
    ):
        problems = specs.problems(SPEC, written)
        assert "spec.secret" in {problem.code for problem in problems}
        assert not any("hunter2" in str(problem) for problem in problems)


def test_another_variant_is_set_as_a_whole(specs: Specs) -> None:
    """One field cannot choose another variant while keys of the first are written; the message says what can."""
    text = "embspec: 1\ncorpus: {path: a, chunking: {strategy: structure, tokens: 9, overlap: 1}}\n"
    problems = specs.problems(text, "corpus.chunking.strategy=sentences")
    assert {problem.code for problem in problems} == {"spec.unknown-key"}
    assert "--set 'corpus.chunking={…}'" in problems[0].fix
