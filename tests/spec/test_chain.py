"""`extends` and `unset`: one chain of files, merged, and a place in each for what is wrong."""
from __future__ import annotations

from embspec.errors import Where
from tests.spec.conftest import Specs

BASE = """embspec: 1
corpus: {path: data/*.md, chunking: {strategy: structure, tokens: 128}}
model: {base: ./model, candidates: [a/b, ./c]}
pairs:
  - {name: gold, path: gold.jsonl, trust: gold, roles: [test]}
  - {name: synth, path: synth.jsonl, trust: synthetic}
loss: {matryoshka: null, scale: 30, name: "./own.py:MyLoss"}
eval: {metrics: [recall@5], runs: {vendor: runs/v.trec}, suites: {fresh: {path: fresh.jsonl}}}
labels: {review: reviews.csv}
index: {sinks: [{name: db, kind: lancedb, url: vectors/db}, {name: far, kind: qdrant, url: "https://q.example"}]}
"""


def test_mappings_merge_and_lists_replace(specs: Specs) -> None:
    """What the nearer file writes wins, key by key; a list of scalars is one value; null is a value."""
    specs.write(BASE, "specs/base.yaml")
    values = specs.load("extends: base.yaml\nloss: {scale: 5}\neval: {metrics: [mrr]}\nlabels: null\n").values
    assert values["loss.scale"] == 5.0
    assert values["loss.name"] == "./own.py:MyLoss"
    assert values["eval.metrics"] == ["mrr"]
    assert values["eval.suites.fresh.path"] == "fresh.jsonl"
    assert values["labels"] is None
    assert "labels.review" not in values


def test_named_items_merge_by_name(specs: Specs) -> None:
    """A source that both files name keeps what the nearer one does not say; a new name is one more source."""
    specs.write(BASE, "specs/base.yaml")
    found = specs.load(
        "extends: base.yaml\npairs:\n  - {name: synth, weight: 2}\n  - {name: more, path: more.jsonl, trust: curated}\n"
    )
    assert found.values["pairs.synth.path"] == "synth.jsonl"
    assert found.values["pairs.synth.weight"] == 2.0
    assert found.values["pairs.gold.path"] == "gold.jsonl"
    assert found.values["pairs.more.trust"] == "curated"
    assert found.written["pairs.synth.path"].file == "specs/base.yaml"
    assert found.written["pairs.synth.weight"] == Where("specs/x.yaml", 3, 19)


def test_unset_goes_back_to_the_default(specs: Specs) -> None:
    """Of a field, a section, a source or a sink; what the same file then writes begins anew."""
    specs.write(BASE, "specs/base.yaml")
    names = "loss.matryoshka, pairs.synth, corpus.chunking, index.sinks.far, eval.runs.vendor, keys.env"
    unset = f"extends: base.yaml\nunset: [{names}]\n"
    found = specs.load(unset + "corpus: {chunking: {strategy: sentences}}\n")
    assert found.values["loss.matryoshka.dims"] == "auto"
    assert "loss.matryoshka" not in found.written
    assert not any(path.startswith(("pairs.synth", "index.sinks.far", "eval.runs")) for path in found.values)
    assert found.values["corpus.chunking.n"] == 5
    assert "corpus.chunking.tokens" not in found.values


def test_paths_belong_to_the_file_that_names_them(specs: Specs) -> None:
    """The same data from another folder is said as that folder, two slashes and the path as written."""
    specs.write(BASE, "common/base.yaml")
    values = specs.load("extends: ../common/base.yaml\nlabels: {review: mine.csv}\n").values
    assert values["corpus.path"] == ["../common//data/*.md"]
    assert values["pairs.gold.path"] == "../common//gold.jsonl"
    assert values["model.base"] == "../common//./model"
    assert values["model.candidates"] == ["a/b", "../common//./c"]
    assert values["loss.name"] == "../common//./own.py:MyLoss"
    assert values["eval.runs.vendor"] == "../common//runs/v.trec"
    assert values["eval.suites.fresh.path"] == "../common//fresh.jsonl"
    assert values["index.sinks.db.url"] == "../common//vectors/db"
    assert values["index.sinks.far.url"] == "https://q.example"
    assert values["labels.review"] == "mine.csv"


def test_a_command_belongs_to_the_file_that_names_it(specs: Specs) -> None:
    """It is said with its folder too, whatever it looks like; in the spec's own folder it is as written."""
    for command in ("python say.py", "/usr/bin/env python", "say --url https://a.example/x"):
        chunking = f"{{strategy: structure, context: {{command: '{command}'}}}}"
        text = f"embspec: 1\ncorpus: {{path: docs/*.md, chunking: {chunking}}}\n"
        specs.write(text, "common/base.yaml")
        values = specs.load("extends: ../common/base.yaml\n").values
        assert values["corpus.chunking.context.command"] == f"../common//{command}"
        assert specs.load(text).values["corpus.chunking.context.command"] == command


def test_the_chain_of_files_is_told(specs: Specs) -> None:
    """The spec first, then what it extends, as absolute paths; positions name the file that wrote the field."""
    specs.write(BASE, "common/base.yaml")
    specs.write("extends: ../common/base.yaml\nseed: 3\n", "specs/middle.yaml")
    found = specs.load("extends: middle.yaml\nrisk: high\n")
    names = ("specs/x.yaml", "specs/middle.yaml", "common/base.yaml")
    assert found.files == tuple(str(specs.root / name) for name in names)
    assert [found.written[field].file for field in ("risk", "seed", "loss.scale")] == list(names)


def test_one_version_is_enough_for_a_chain(specs: Specs) -> None:
    """A spec that extends another need not repeat `embspec: 1`; one that stands alone must have it."""
    specs.write(BASE, "specs/base.yaml")
    assert specs.load("extends: base.yaml\n").values["embspec"] == 1
    specs.write("corpus: {path: a}\n", "specs/bare.yaml")
    assert specs.wrong("extends: bare.yaml\n") == [("spec.missing", "1:1")]


def test_a_circle_names_its_files(specs: Specs) -> None:
    """Two specs that extend each other, or one itself, are refused where the circle closes."""
    specs.write("extends: x.yaml\n", "specs/other.yaml")
    problem = specs.one("extends: other.yaml\n")
    assert (problem.code, str(problem.where)) == ("spec.cycle", "specs/other.yaml:1:10")
    assert "specs/x.yaml -> specs/other.yaml -> specs/x.yaml" in problem.text
    assert specs.one("extends: x.yaml\n").code == "spec.cycle"


def test_a_chain_has_an_end(specs: Specs) -> None:
    """More files than anybody would chain are a mistake, not a long wait."""
    for n in range(30):
        specs.write(f"extends: s{n + 1}.yaml\n", f"specs/s{n}.yaml")
    assert specs.one("extends: s0.yaml\n").code == "spec.cycle"


def test_what_is_extended_must_be_a_spec_of_the_project(specs: Specs) -> None:
    """A list, an address, a missing file and a file outside are refused where `extends` says them."""
    specs.write(BASE, "specs/base.yaml")
    assert specs.wrong("extends: [base.yaml]\n") == [("spec.extends", "1:10")]
    assert specs.wrong("extends: https://specs.example/base.yaml\n") == [("spec.extends", "1:10")]
    assert specs.wrong("extends: ../../base.yaml\n") == [("spec.path", "1:10")]
    assert specs.wrong("extends: /base.yaml\n") == [("spec.path", "1:10")]
    missing = specs.one("seed: 1\nextends: bas.yaml\n")
    assert (missing.code, str(missing.where)) == ("spec.not-found", "specs/x.yaml:2:10")
    assert "specs/base.yaml" in missing.fix


def test_what_is_wrong_in_the_base_is_told_there(specs: Specs) -> None:
    """One run shows the mistakes of all files of the chain, each in its own."""
    specs.write(BASE + "risk: hihg\n", "specs/base.yaml")
    places = [str(problem.where) for problem in specs.problems("extends: base.yaml\nseed: many\n")]
    assert sorted(places) == ["specs/base.yaml:11:7", "specs/x.yaml:2:7"]


def test_a_conflict_between_two_files_names_both(specs: Specs) -> None:
    """Where two fields together are wrong and two files wrote them, both places are told."""
    specs.write(BASE, "specs/base.yaml")
    generate = "generate: {provider: {kind: replay, path: answers.jsonl}}"
    problem = specs.one("extends: base.yaml\npairs:\n  - {name: gold, " + generate + "}\n")
    assert (problem.code, str(problem.where)) == ("spec.conflict", "specs/x.yaml:3:18")
    assert "specs/base.yaml:5:18" in problem.text


def test_another_variant_is_chosen_by_beginning_anew(specs: Specs) -> None:
    """Mappings merge, so another strategy meets the keys of the old one; the message says how to drop them."""
    specs.write(BASE, "specs/base.yaml")
    problem = specs.one("extends: base.yaml\ncorpus: {chunking: {strategy: none}}\n")
    assert (problem.code, str(problem.where)) == ("spec.unknown-key", "specs/base.yaml:2:59")
    assert "specs/x.yaml:2:21" in problem.fix
    assert "unset: [corpus.chunking]" in problem.fix


def test_unset_names_fields_that_exist(specs: Specs) -> None:
    """A misspelt field would silently stay inherited; a spec that extends nothing has nothing to unset."""
    specs.write(BASE, "specs/base.yaml")
    problems = specs.problems("extends: base.yaml\nunset: [loss.matrioshka, 5, matryoshka, {a: 1}]\n")
    assert [(p.code, p.where and p.where.column) for p in problems] == [("spec.unset", n) for n in (9, 26, 29, 41)]
    assert "`loss.matryoshka`" in problems[0].fix
    assert "`loss.matryoshka`" in problems[2].fix
    assert specs.wrong("extends: base.yaml\nunset: loss\n") == [("spec.unset", "2:8")]
    assert specs.wrong(specs.smallest + "unset: [loss]\n") == [("spec.unset", "3:1")]


def test_two_items_of_one_name_are_refused_in_their_file(specs: Specs) -> None:
    """Merging by name would let the second overwrite the first without a word."""
    specs.write(BASE + "# pairs end\n", "specs/base.yaml")
    text = "extends: base.yaml\npairs:\n  - {name: new, path: a}\n  - {name: new, path: b}\n"
    problem = specs.one(text)
    assert (problem.code, str(problem.where)) == ("spec.duplicate-name", "specs/x.yaml:4:12")
    assert "specs/x.yaml:3:12" in problem.text


def test_a_missing_spec_lists_what_is_there(specs: Specs) -> None:
    """The nearest name first, so that a typo needs no second look."""
    from embspec.errors import EmbspecError
    from embspec.spec.load import load

    specs.write(BASE, "specs/handbook.yaml")
    specs.write(BASE, "specs/a.yaml")
    for path, said in (
        ("specs/handbok.yaml", "did you mean specs/handbook.yaml"),
        ("nowhere/x.yaml", "no folder nowhere"),
    ):
        try:
            load(path, root=str(specs.root))
        except EmbspecError as error:
            assert error.problems[0].code == "spec.not-found"
            assert said in error.problems[0].fix
    try:
        load("specs", root=str(specs.root))
    except EmbspecError as error:
        assert error.problems[0].code == "spec.unreadable"
        assert "specs/a.yaml, specs/handbook.yaml" in error.problems[0].fix


def test_a_spec_is_a_mapping(specs: Specs) -> None:
    """A list or a sentence is no spec."""
    assert specs.wrong("- a\n") == [("spec.not-a-mapping", "1:1")]
    assert specs.wrong("hello\n") == [("spec.not-a-mapping", "1:1")]


def test_another_version_is_refused_alone(specs: Specs) -> None:
    """A newer vocabulary's fields are not called unknown: one message names the version that this embspec reads."""
    problem = specs.one("embspec: 2\nnew_field: 1\n")
    assert (problem.code, str(problem.where)) == ("spec.version", "specs/x.yaml:1:10")
    assert "`embspec: 2`" in problem.text
    assert "reads 1" in problem.text
    for value in ("'1'", "true", "0", "1.0", "{}"):
        assert specs.one(f"embspec: {value}\n").code == "spec.version"
    missing = specs.one("corpus: {path: a}\n")
    assert (missing.code, missing.fix) == ("spec.missing", "add `embspec: 1` as the first line")
