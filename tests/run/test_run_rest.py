"""What a stage is handed, what is recorded of the machine, and a check that builds nothing."""

from __future__ import annotations

import os
import re
from importlib import metadata
from pathlib import Path

import pytest

import embspec
from embspec.api import Project
from embspec.errors import EmbspecError
from embspec.plan.canonical import plain
from embspec.run.desk import Declared
from embspec.stages.street import STREET
from embspec.store import timings
from embspec.store.environment import env_id, environment, listing
from embspec.store.places import places


def test_a_declared_mapping_remembers_what_was_read() -> None:
    """By name, by question, and by walking over it; what is not there is an error that names the stage."""
    one = Declared({"a": 1, "b": 2}, "split", "parameter")
    assert one["a"] == 1 and one.read == {"a"}
    assert one.get("c") is None and "c" not in one
    assert dict(one) == {"a": 1, "b": 2} and {"a", "b"} <= one.read and len(one) == 2
    with pytest.raises(KeyError, match="split reads parameter `z`"):
        one["z"]


def test_the_environment_lists_what_a_stage_uses() -> None:
    """Interpreter, platform and the named packages; the whole of what they import stands behind the digest."""
    block = environment(("numpy", "xxhash"), {})
    assert plain(block["embspec"]) == embspec.__version__ and block["numpy"] == metadata.version("numpy")
    assert list(block) == ["embspec", "python", "platform", "numpy", "xxhash"]
    rows = listing(("numpy", "xxhash")).decode().splitlines()
    assert rows == sorted(rows) and f"numpy=={metadata.version('numpy')}" in rows
    assert not any(re.match(r"(pytest|hypothesis)==", row) for row in rows)


def test_an_environment_is_named_by_its_content() -> None:
    """Two branches never collide; the same one is the same everywhere."""
    one = environment(("xxhash",), {})
    assert env_id(one) == env_id(dict(one)) != env_id({**one, "python": "3.99"})
    assert re.fullmatch(r"env-[0-9a-f]{8}", env_id(one))


def test_every_stage_names_packages_that_are_there() -> None:
    """A stage whose env block could not be written would fail after its work."""
    for stage in STREET:
        listed = stage.packages
        for method in ("full", "static"):
            values = {"model.method": method, "pairs.gold.path": "gold.jsonl", "export.onnx.opset": 17,
                      "eval.bm25.tokenizer": "auto", "eval.bm25.language": "auto", "eval.bm25.stem": True,
                      "corpus.path": ["docs/*.md"], "corpus.chunking.strategy": "structure"}
            environment(listed(values) if callable(listed) else listed, {})


def test_a_check_reads_every_input_and_keeps_nothing(spec: Path) -> None:
    """All that is wrong, of all sources at once; neither lock nor store nor `out/` is touched."""
    with open(spec.parent / "gold.jsonl", "a") as file:
        file.write('{"query": "x", "positive": "docs/none.md"}\n{"positive": "docs/p00.md"}\n')
    with open(spec.parent / "faq.csv", "a") as file:
        file.write("y,docs/none.md\n")
    stats, problems = Project(str(spec)).check()
    assert stats["corpus"]["documents"] == 35 and {p.code for p in problems} >= {"input.dangling"}
    files = {p.where.file for p in problems if p.where}
    assert files == {"specs/gold.jsonl", "specs/faq.csv"}
    assert not spec.with_suffix(".lock").exists() and not (spec.parents[1] / "out").exists()
    assert not any(p.is_file() for p in Path(os.environ["EMBSPEC_STORE"]).rglob("*"))


def test_a_check_of_good_inputs_says_what_it_found(spec: Path) -> None:
    """The figures that a build would have in its lock."""
    stats, problems = Project(str(spec)).check()
    assert problems == [] and stats["pairs.gold"]["queries"] == 24


def test_timings_are_remembered_and_may_be_broken(spec: Path) -> None:
    """State that may be deleted at any time."""
    at = places(str(spec))
    assert timings.load(at) == {}
    timings.save(at, {"corpus": 1.5})
    timings.save(at, {"split": 2.0})
    timings.save(at, {})
    assert timings.load(at) == {"corpus": 1.5, "split": 2.0}
    for text in ("", "[]", '{"corpus": "x"}', "{"):
        Path(at.state, "mini.seconds").write_text(text)
        assert timings.load(at) == {}


def test_a_stage_that_the_spec_does_not_have(spec: Path) -> None:
    """Named with those it has."""
    from embspec.plan.values import Wish
    from embspec.run.build import Order

    for wish in (Wish(to="train"), Wish(refresh=frozenset({"train"}))):
        with pytest.raises(EmbspecError) as caught:
            Project(str(spec)).build(Order(wish))
        assert caught.value.problems[0].code == "usage.stage" and "split" in caught.value.problems[0].fix
