"""From a spec to flat values: what is written, what follows from it, and where it was written."""
from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from embspec.errors import EmbspecError, Where
from embspec.spec.load import load
from embspec.spec.sections import NAMED
from tests.spec.conftest import Specs

HERE = Path(__file__).parent
WHOLE = ("full.yaml", "variants.yaml", "static.yaml")


def whole(name: str) -> dict[str, Any]:
    """The flat values of one of the specs beside this test."""
    return dict(load(str(HERE / name), root=str(HERE)).values)


def test_the_smallest_spec(specs: Specs) -> None:
    """Everything that is not written is there with its default, in the order of the schema."""
    found = specs.load(specs.smallest)
    assert list(found.values)[:6] == ["embspec", "name", "version", "description", "seed", "risk"]
    assert found.values["model"] is None
    assert found.values["labels"] is None
    assert found.values["pairs"] == []
    assert found.values["corpus.path"] == ["docs.jsonl"]
    assert found.values["split.min_queries.test"] == 200
    assert found.values["eval.suites.domain.split"] == "test"
    assert found.values["eval.systems"] == ["bm25"]
    assert [found.values[f"negatives.miners.{n}.kind"] for n in (1, 2)] == ["dense", "bm25"]
    assert found.written == {
        "embspec": Where("specs/x.yaml", 1, 1),
        "corpus": Where("specs/x.yaml", 2, 1),
        "corpus.path": Where("specs/x.yaml", 2, 10),
    }


@pytest.mark.parametrize("name", WHOLE)
def test_values_are_plain_json(name: str) -> None:
    """Scalars and lists of scalars of plain types, equal after a round trip, so that they can be remembered."""
    values = whole(name)
    assert json.loads(json.dumps(values)) == values
    for value in values.values():
        for item in value if isinstance(value, list) else [value]:
            assert type(item) in (str, int, float, bool, type(None))


def test_a_whole_spec_keeps_what_it_writes() -> None:
    """One of each kind of value, under its full path."""
    values = whole("full.yaml")
    expected = {
        "version": "2.4.0",
        "model.prompts.query": "search: ",
        "model.prompts.document": "",
        "model.lora.target_modules": ["query", "value"],
        "corpus.path": ["manual/**/*.md", "notes/*.csv"],
        "corpus.fields.document": "page",
        "corpus.chunking.context.command": "python context.py",
        "pairs.gold.fields.positive": "doc",
        "pairs.synth.generate.provider.api_key": "env:LLM_KEY",
        "pairs.synth.generate.types.procedural": 2,
        "pairs.clicks.debias.propensity.estimate": "power",
        "negatives.miners.5.path": "pairs/hard.jsonl",
        "loss.scale": 15.0,
        "loss.matryoshka.weights": [1.0, 0.5],
        "train.learning_rate": 0.00003,
        "train.args.adam_epsilon": 1e-8,
        "train.args.max_grad_norm": 1,
        "eval.slices": ["language", "difficulty:bm25_rank", "identifiers:true"],
        "eval.suites.answers.metrics": ["faithfulness"],
        "gates.artifact_mb <= 450": "on",
        "export.onnx.int8.per_channel": False,
        "index.truncate_dim.smallest.min_retention": 0.98,
        "index.sinks.prod.url": "env:DATABASE_URL",
        "prices.gpu_hour": 2.5,
        "remote.url": "s3://models/embspec",
    }
    assert {path: values[path] for path in expected} == expected
    assert "pairs.gold.name" not in values


def test_what_is_not_chosen_is_not_there() -> None:
    """Of the variants of a section only the chosen one has values; a section that is off is one null or false."""
    values = whole("variants.yaml")
    assert values["loss.matryoshka"] is None
    assert values["train.early_stopping"] is None
    assert values["export.onnx.int8"] is False
    assert values["index.truncate_dim"] == 128
    assert values["pairs.replayed.filter.judge"] is None
    assert values["corpus.chunking.n"] == 3
    assert not {"model.base", "corpus.chunking.tokens", "pairs.replayed.generate.provider.model"} & set(values)


def roles(specs: Specs, *sources: str) -> dict[str, object]:
    """The resolved trust and roles of sources."""
    lines = "".join(f"  - {{name: s{n}, {source}}}\n" for n, source in enumerate(sources))
    values = specs.load(f"{specs.smallest}pairs:\n{lines}").values
    return {f"s{n}": (values[f"pairs.s{n}.trust"], values[f"pairs.s{n}.roles"]) for n in range(len(sources))}


def test_roles_follow_trust(specs: Specs) -> None:
    """Gold is tested on, curated and synthetic trained on, clicks validated on; what is written wins."""
    found = roles(specs, "path: a", "path: b, trust: curated", "path: c, trust: synthetic", "path: d, trust: implicit",
                  "path: e, roles: [test, train]")  # fmt: skip
    assert found == {
        "s0": ("gold", ["validation", "test"]),
        "s1": ("curated", ["train"]),
        "s2": ("synthetic", ["train"]),
        "s3": ("implicit", ["validation"]),
        "s4": ("gold", ["train", "test"]),
    }


def test_one_source_is_split_into_all(specs: Specs) -> None:
    """A single source has to serve for everything, unless it says otherwise."""
    assert roles(specs, "path: a, trust: curated") == {"s0": ("curated", ["train", "validation", "test"])}
    assert roles(specs, "path: a, roles: [train]") == {"s0": ("gold", ["train"])}


def test_trust_follows_the_kind_of_source(specs: Specs) -> None:
    """Generated questions are synthetic and clicks implicit, and both get the section that weighs them."""
    generate = "generate: {provider: {kind: replay, path: a}}"
    found = roles(specs, generate, "click_log: {path: c}", "path: p")
    assert (found["s0"], found["s1"]) == (("synthetic", ["train"]), ("implicit", ["validation"]))
    values = specs.load(
        f"{specs.smallest}pairs: [{{name: s, {generate}}}, {{name: c, click_log: {{path: c}}}}]\n"
    ).values
    assert values["pairs.s.filter.roundtrip.top_k"] == 10
    assert values["pairs.s.debias"] is None
    assert values["pairs.c.debias.clip"] == 10.0


@pytest.mark.parametrize(("base", "method"), [("a/b", "full"), ("{static: {weights: w, tokenizer: t}}", "static")])
def test_the_method_follows_the_base(specs: Specs, base: str, method: str) -> None:
    """A static base has no transformer to train."""
    values = specs.load(f"{specs.smallest}model: {{base: {base}}}\n").values
    assert values["model.method"] == method
    assert values["eval.systems"] == ["base", "bm25", "hybrid", "tuned", "tuned+bm25"]


def test_other_suites_do_not_replace_the_domain(specs: Specs) -> None:
    """A gate without a suite is judged on the domain, so it is always there."""
    values = specs.load(specs.smallest + "eval: {suites: {ood: {beir: ood}}}\n").values
    assert [path for path in values if path.startswith("eval.suites")] == [
        "eval.suites.domain.split",
        "eval.suites.ood.beir",
    ]
    own = specs.load(specs.smallest + "eval: {suites: {domain: {split: test}}}\n").values
    assert own["eval.suites.domain.split"] == "test"


SAME = [
    ("seed: 10", "seed: 1e1"),
    ("seed: 16", "seed: 0x10"),
    ("loss: {scale: 20}", "loss: {scale: 2e1}"),
    ("split: {test: 0.10}", "split: {test: .1}"),
    ("train: {learning_rate: 2e-5}", "train: {learning_rate: 0.00002}"),
    ("train: {args: {a: 1.0}}", "train: {args: {a: 1}}"),
    ("eval: {dims: auto}", "eval: {dims: [auto]}"),
    ("eval: {metrics: [hit@5]}", "eval: {metrics: [hit_rate@5]}"),
    ("pairs: [{name: a, path: x, roles: [test, train]}]", "pairs: [{name: a, path: x, roles: [train, test]}]"),
    ("pairs: [{name: a, path: x}, {name: b, path: y}]", "pairs: [{name: b, path: y}, {name: a, path: x}]"),
    ("retrain_when: [age_days > 9]", "retrain_when: ['age_days>9.0']"),
    ("name: x", "'name': \"x\" # why"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_meaning_is_equal_values(specs: Specs, one: str, other: str) -> None:
    """Spellings of a number, an alias, and the order of what has no order make no difference, nor do types."""
    first, second = (specs.load(f"{specs.smallest}{text}\n").values for text in (one, other))
    assert json.dumps(first) == json.dumps(second)


def test_text_that_looks_like_a_number_is_text(specs: Specs) -> None:
    """A version 3.10 is not 3.1, and a commit of digits is no number."""
    text = f"{specs.smallest}version: 3.10\nmodel: {{base: a/b, revision: 0123456}}\npairs: [{{name: 2024, path: a}}]\n"
    values = specs.load(text).values
    assert values["version"] == "3.10"
    assert values["model.revision"] == "0123456"
    assert values["pairs.2024.path"] == "a"


def test_paths_stay_as_written(specs: Specs) -> None:
    """In the main spec's own folder a path is what a person wrote; addresses are left alone."""
    corpus = "embspec: 1\ncorpus: {path: [../docs/*.md, 'https://data.example/x.md']}\n"
    text = corpus + "model: {base: ../models/m}\nremote: {url: env:STORE}\n"
    values = specs.load(text).values
    assert values["corpus.path"] == ["../docs/*.md", "https://data.example/x.md"]
    assert values["model.base"] == "../models/m"
    assert values["remote.url"] == "env:STORE"


@pytest.mark.parametrize("path", ["../../x.jsonl", "/x.jsonl", "~/x.jsonl", "a/../../../x"])
def test_paths_stay_in_the_project(specs: Specs, path: str) -> None:
    """Unless that is allowed, and then they are what was written."""
    text = f"embspec: 1\ncorpus: {{path: '{path}'}}\n"
    assert specs.wrong(text) == [("spec.path", "2:16")]
    assert specs.load(text, outside=True).values["corpus.path"] == [path]


def test_sections_and_items_know_where_they_were_written(specs: Specs) -> None:
    """The key of a mapping, the item of a list; what is only implied has no place."""
    text = (
        specs.smallest
        + "pairs:\n  - name: gold\n    path: g\nnegatives:\n  miners:\n    - {kind: random}\nkeys: {env: pin}\n"
    )
    written = specs.load(text).written
    assert written["pairs"] == Where("specs/x.yaml", 3, 1)
    assert written["pairs.gold"] == Where("specs/x.yaml", 4, 5)
    assert written["pairs.gold.path"] == Where("specs/x.yaml", 5, 5)
    assert written["negatives.miners.1"] == Where("specs/x.yaml", 8, 7)
    assert written["negatives.miners.1.kind"] == Where("specs/x.yaml", 8, 8)
    assert written["keys.env"] == Where("specs/x.yaml", 9, 8)
    assert not {"pairs.gold.trust", "pairs.gold.name", "eval", "split"} & set(written)


def test_named_lists_are_the_ones_with_names() -> None:
    """The lists that merge by name are those whose items have one, as the sections say."""
    from embspec.spec.fields import patterns

    named = {".".join(parts[: parts.index("{name}")]) for parts in patterns() if "{name}" in parts}
    assert named == set(NAMED)


def spelled(value: Any, rng: random.Random, indent: int = 0) -> str:
    """A YAML text of plain values: keys in any order, comments anywhere, numbers as nobody would write them."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        items = list(value.items())
        rng.shuffle(items)
        lines = []
        for key, item in items:
            comment = rng.choice(["", "", f"{pad}# {rng.random()}\n"])
            nested = isinstance(item, (dict, list)) and item and rng.random() < 0.7
            inner = (
                f"\n{spelled(item, rng, indent + 1)}" if nested else f" {flow(item, rng)}{rng.choice(['', '  # so'])}\n"
            )
            lines.append(f"{comment}{pad}{rng.choice([key, json.dumps(key)])}:{inner}")
        return "".join(lines)
    if isinstance(value, list) and value:
        return "".join(f"{pad}- {flow(item, rng)}\n" for item in value)
    return f"{pad}{flow(value, rng)}\n"


def flow(value: Any, rng: random.Random) -> str:
    """The same on one line."""
    if isinstance(value, dict):
        items = list(value.items())
        rng.shuffle(items)
        return "{" + ", ".join(f"{key}: {flow(item, rng)}" for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item, rng) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return rng.choice([json.dumps(value), json.dumps(value).title() if value is not None else "~"])
    if isinstance(value, float):
        return rng.choice([repr(value), f"{value:.17e}", f"+{value!r}" if value >= 0 else repr(value)])
    if isinstance(value, int):
        return rng.choice([str(value), hex(value)]) if value >= 0 else str(value)
    return json.dumps(value)


@settings(max_examples=25)
@given(st.sampled_from(WHOLE), st.integers(0, 2**32))
def test_order_comments_and_spelling_change_nothing(
    tmp_path_factory: pytest.TempPathFactory, name: str, seed: int
) -> None:
    """However a spec is written, equal meaning has equal bytes."""
    plain = YAML(typ="safe", pure=True).load((HERE / name).read_text())
    path = tmp_path_factory.mktemp("spec") / name
    path.write_text(spelled(plain, random.Random(seed)))
    found = load(str(path), root=str(path.parent)).values
    assert json.dumps(found) == json.dumps(whole(name))


FRAGMENTS = [
    "null", "[]", "{}", "5", "-1", "1.5", "true", "abc", "[a]", "{a: 1}", "''", "\t", "\n", "  ", "- ", ": ", "*x",
    "&x ", "!!", "@", "[", "{", "é", "\x01", "1e999", ".nan", "env:X", "../..", "~", "|\n", "name: x\n", "#",
]  # fmt: skip


@settings(max_examples=80)
@given(st.sampled_from(WHOLE), st.integers(0, 2**32))
def test_a_damaged_spec_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, seed: int) -> None:
    """Whatever a slip of the hand leaves, the answer is values, or problems with a code and a place in the file."""
    rng = random.Random(seed)
    text = (HERE / name).read_text()
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text))
        text = text[:start] + rng.choice(FRAGMENTS) + text[start + rng.choice([0, 1, 4, 12]) :]
    path = tmp_path_factory.mktemp("spec") / name
    path.write_text(text)
    try:
        json.dumps(load(str(path), root=str(path.parent)))
    except EmbspecError as error:
        for problem in error.problems:
            assert problem.code.startswith("spec.")
            assert problem.where is not None
            assert 1 <= problem.where.line <= text.count("\n") + 2
            assert problem.text and "|" not in problem.text.replace("`|`", "")
