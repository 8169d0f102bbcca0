"""Which part each source may enter, and the text that says so."""
from __future__ import annotations

import io
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from embspec.init.bases import BASES, HUB, Base, fetching, known
from embspec.init.documents import Corpus, Left
from embspec.init.draft import PARTS, Draft, divided
from embspec.init.pairs import Source
from embspec.init.text import scalar, spec
from embspec.spec.load import load


def source(name: str, trust: str, queries: int = 50, qrels: str = "", *roles: str) -> Source:
    """One."""
    return Source(name, f"{name}.jsonl", trust=trust, queries=queries, qrels=qrels, roles=roles)


@pytest.mark.parametrize(("sources", "by", "roles"), [
    ([source("a", "gold")], "document", [PARTS]),
    ([source("a", "gold"), source("b", "curated")], "document", [("validation", "test"), ("train",)]),
    ([source("a", "gold", 1334), source("b", "curated")], "document", [PARTS, ("train",)]),
    ([source("a", "curated"), source("b", "synthetic")], "document", [PARTS, ("train",)]),
    ([source("a", "synthetic")], "document", [PARTS]),
    ([source("a", "gold"), source("c", "implicit")], "document", [PARTS, ("validation",)]),
    ([source("a", "curated", 9, "train", "train"), source("b", "gold", 9, "test", "test")], "given",
     [("train", "validation"), ("test",)]),
    ([source("a", "curated", 9, "train", "train"), source("d", "gold", 9, "dev", "validation"),
      source("b", "gold", 9, "test", "test")], "given", [("train",), ("validation",), ("test",)]),
    ([source("b", "gold", 9, "test", "test")], "document", [PARTS]),
])
def test_every_part_gets_some(sources: list[Source], by: str, roles: list[tuple[str, ...]]) -> None:
    """Gold tests; a lone source is divided; a published split stands where it has train and test."""
    found, done = divided(sources)
    assert (found, [one.roles for one in done]) == (by, roles)
    assert {"train", "test"} <= {role for one in done for role in one.roles}


def test_the_text_is_the_draft(tmp_path: Path) -> None:
    """Whatever letters paths and fields have, the spec that is read is the one that was meant; comments stay whole."""
    odd = 'a: b #1 "x" \\ {é}, 07'
    fields = {"id": "true", "text": odd}
    corpus = Corpus((f"{odd}.jsonl",), fields, ("lang", "null"))
    one = Source("faq", f"*{odd}.csv", "csv", fields={"query": odd, "positive": "no"}, trust="gold", roles=PARTS)
    draft = Draft(BASES[0], corpus, [f"{odd}.jsonl", "1.5"], 256, [one], one, least={"test": 3},
                  wants=["long " * 60, "a # b\x85c"], left=[Left("x\x07\u2028y\nz", "y: z")])
    written = tmp_path / "embspec.yaml"
    written.write_text(spec(draft, "2026"), encoding="utf-8")
    values = load(str(written), (), root=str(tmp_path)).values
    assert values["corpus.path"] == [f"{odd}.jsonl", "1.5"]
    assert (values["corpus.fields.id"], values["corpus.fields.text"], values["name"]) == ("true", odd, "2026")
    assert (values["pairs.faq.path"], values["pairs.faq.fields.query"]) == (f"*{odd}.csv", odd)
    assert (values["split.min_queries.test"], values["split.min_queries.validation"]) == (3, 100)
    assert max(map(len, written.read_text("utf-8").splitlines())) < 260


@pytest.mark.parametrize("text", ["yes", "1", "1e3", "~", "- a", "null", "a: b", "#x", "*.md", "&a", "!t", "0x1f", "",
                                  "2026-01-01", "=", "docs/a.md", "É", "a\tb", ".inf", "'", "[a]", ".5", "a\x07b",
                                  "a\x85\u2028b", "\ufeffa", "a\x7f", "😀\U000e0001"])
def test_a_scalar_is_read_as_the_text_that_it_is(text: str) -> None:
    """Quotes stand where YAML would take it for something else."""
    assert YAML(typ="safe").load(io.StringIO(f"{{a: {scalar(text)}}}"))["a"] == text


def test_the_base_is_the_first_at_hand() -> None:
    """A small one that needs no network; where there is none, one of the hub, and the line that brings it."""
    assert known(lambda base: not base.package)[0] == HUB
    assert known(lambda base: False) == [HUB] and fetching(HUB) == f"hf download {HUB.name}"
    assert fetching(BASES[0]) == "pip install wordllama"
    assert fetching(Base("./model", "")) == ""
