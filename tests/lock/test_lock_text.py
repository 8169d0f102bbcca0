"""The lock's text: what is written is read back, by us and by any YAML reader; what nobody wrote is refused."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from embspec.errors import EmbspecError
from embspec.lock.text import HEAD, Lock, read, write
from embspec.plan.canonical import plain, scalar
from embspec.plan.values import Block
from embspec.report.schemas import LOCK

WORD = st.sampled_from(
    [
        "corpus.path",
        "documents.jsonl",
        "recall@10 >= base + 0.05 @95",
        "null",
        "5",
        "a: b",
        "é",
        "#x",
        "-",
        "lock",
        "on",
        "2026-01-01",
        "a\nb",
        '"q"',
        "x ",
        "seed",
    ]
)
TEXT = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    WORD,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    st.lists(WORD, max_size=3),
).map(scalar)
TEXTS = st.dictionaries(WORD, TEXT, max_size=3)
DIGEST = st.sampled_from(["sha256:5f1c00 91238112", "tree sha256:41d0c8 91402233"])
USES = st.dictionaries(st.sampled_from(["encode", "bm25", "knn"]), st.sampled_from(["1", "2"]), max_size=2)
BLOCK = st.builds(
    Block,
    st.sampled_from(["", "1", "12"]),
    USES,
    TEXTS,
    TEXTS,
    st.sampled_from(["", "9c41e0b7d2f64a55b1c3a8e2770f19d4"]),
    st.dictionaries(WORD, DIGEST, max_size=3),
    TEXTS,
    st.sampled_from(["", "env-3f9a", "env-b07c"]),
)
STAGES = ["corpus", "snapshot", "pairs.gold", "split", "train"]
BLOCKS = st.dictionaries(st.sampled_from(STAGES), BLOCK, max_size=4)
ENVS = {
    "env-3f9a": {"embspec": "0.1.0", "platform": "linux x86_64"},
    "env-b07c": {"torch": "2.13.0+cpu", "python": "3.11.7"},
}


def written(blocks: Mapping[str, Block]) -> Lock:
    """A lock as the writer leaves it: in street order, with the environments it names."""
    used = {b.env for b in blocks.values()}
    return Lock({n: blocks[n] for n in STAGES if n in blocks}, {n: e for n, e in ENVS.items() if n in used})


@given(BLOCKS)
@settings(max_examples=200)
def test_what_is_written_is_read_back(blocks: dict[str, Block]) -> None:
    """Every value survives, in the order of the street, and a second writing changes no byte."""
    text = write(Lock(blocks, ENVS), STAGES)
    found = read(text, "x.lock")
    assert found == written(blocks)
    assert list(found.blocks) == [n for n in STAGES if n in blocks]
    assert write(found, STAGES) == text


def values(block: Block) -> dict[str, Any]:
    """A block as plain YAML values."""
    maps = {f: {k: plain(v) for k, v in getattr(block, f).items()} for f in ("params", "pin", "out", "stat")}
    words = {"uses": " ".join(f"{n} {v}" for n, v in block.uses.items()), "key": block.key, "env": block.env}
    recipe = {"recipe": int(block.recipe)} if block.recipe else {}
    return {**recipe, **{k: v for k, v in {**words, **maps}.items() if v}}


@given(BLOCKS)
@settings(max_examples=150)
def test_ruamel_reads_the_same_values(blocks: dict[str, Block]) -> None:
    """The lock is YAML: another tool reads what we read, types and all."""
    text = write(Lock(blocks, ENVS), STAGES)
    found = YAML(typ="safe", pure=True).load(io.StringIO(text))
    assert found.pop("lock") == 1
    assert {n: b or {} for n, b in found.items() if not n.startswith("env-")} == {
        n: values(b) for n, b in blocks.items()
    }
    types = [
        type(v) for n in blocks for part in ("params", "pin", "stat") for v in (found[n] or {}).get(part, {}).values()
    ]
    assert types == [
        type(plain(v)) for n in blocks for part in ("params", "pin", "stat") for v in getattr(blocks[n], part).values()
    ]


def test_the_text_is_what_a_review_reads() -> None:
    """One fact a line, blocks in street order with one blank line between, no line for what is empty."""
    split = Block(
        "1",
        {"duplicates": "1"},
        {"seed": "42", "split.by": "document"},
        {"dropped": "0.0"},
        "e4f6",
        {"test.jsonl": "sha256:fa 4"},
        {"test.queries": "25"},
        "env-3f9a",
    )
    text = write(Lock({"split": split, "snapshot": Block(pin={"definition": "b9bf"})}, ENVS), STAGES)
    assert text == HEAD + (
        "lock: 1\n\nsnapshot:\n  pin:\n    definition: b9bf\n\n"
        "split:\n  recipe: 1\n  uses: duplicates 1\n  params:\n    seed: 42\n    split.by: document\n  pin:\n"
        "    dropped: 0.0\n  key: e4f6\n  out:\n    test.jsonl: sha256:fa 4\n  stat:\n    test.queries: 25\n"
        "  env: env-3f9a\n\nenv-3f9a:\n  embspec: 0.1.0\n  platform: linux x86_64\n"
    )


def test_an_environment_that_no_block_names_is_gone() -> None:
    """Each fact once, and none that nobody needs."""
    assert "env-" not in write(Lock({"corpus": Block("1")}, ENVS), STAGES)


def test_a_block_of_pins_alone_is_a_block() -> None:
    """What a merge or an upgrade leaves of a stage that is to be built, by our own schema too."""
    blocks = {"split": Block(pin={"dropped": "0.0"}), "train": Block("1")}
    text = write(Lock(blocks), STAGES)
    assert text.endswith("\n\nsplit:\n  pin:\n    dropped: 0.0\n\ntrain:\n  recipe: 1\n")
    assert read(text, "x.lock").blocks == blocks
    jsonschema.Draft202012Validator(LOCK).validate(YAML(typ="safe", pure=True).load(io.StringIO(text)))


def test_an_environment_that_is_not_there_is_told() -> None:
    """By the stages that name it."""
    lock = Lock({"split": Block("1", env="env-3f9a"), "train": Block("1", env="env-b07c"), "corpus": Block("1")},
                {"env-b07c": {"torch": "2.13.0"}})
    assert lock.dangling == ["split"] and read(write(lock, STAGES), "x.lock").dangling == ["split"]


GOOD = "lock: 1\n\ncorpus:\n  recipe: 1\n  params:\n    corpus.path: docs\n  key: 9c41\n"


def refusal(text: str) -> tuple[str, int, int]:
    """Code, line and exit of a lock that is refused."""
    with pytest.raises(EmbspecError) as caught:
        read(text, "specs/x.lock")
    (problem,) = caught.value.problems
    assert problem.where and problem.where.file == "specs/x.lock"
    return problem.code, problem.where.line, caught.value.exit


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "lock.syntax", 1),
        ("# only a comment\n", "lock.syntax", 1),
        ("corpus:\n  recipe: 1\n", "lock.syntax", 1),
        ("lock: 2\n" + GOOD, "lock.version", 1),
        ("lock: 2\nnews:\n        - deep\n", "lock.version", 1),
        (GOOD + "corpus:\n  recipe: 1\n", "lock.duplicate", 8),
        (GOOD.replace("  key: 9c41\n", "  recipe: 2\n"), "lock.duplicate", 7),
        (
            GOOD.replace("    corpus.path: docs\n", "    corpus.path: docs\n    corpus.path: docs\n"),
            "lock.duplicate",
            7,
        ),
        (GOOD.replace("  key", "\tkey"), "lock.syntax", 7),
        (GOOD.replace("9c41", "9c\t41"), "lock.syntax", 7),
        (GOOD.replace("  key", "   key"), "lock.syntax", 7),
        (GOOD.replace("    corpus.path", "      corpus.path"), "lock.syntax", 6),
        (GOOD.replace("  params:\n", ""), "lock.syntax", 5),
        (GOOD.replace("key: 9c41", "key 9c41"), "lock.syntax", 7),
        (GOOD.replace("key: 9c41", "key:9c41"), "lock.syntax", 7),
        (GOOD.replace("9c41", "9c41 "), "lock.syntax", 7),
        (GOOD.replace("docs", ""), "lock.syntax", 6),
        (GOOD.replace("    corpus.path: docs", "    corpus.path:"), "lock.syntax", 6),
        (GOOD.replace("key", '"key'), "lock.syntax", 7),
        (GOOD.replace("  key: 9c41", "  uses: bm25"), "lock.syntax", 7),
        (GOOD + "\nenv-3f9a:\n  python:\n", "lock.syntax", 10),
        (GOOD.replace("\n", "\r\n"), "lock.syntax", 1),
        (GOOD + "<<<<<<< ours\nsplit:\n=======\n>>>>>>> theirs\n", "lock.conflict", 8),
        (
            GOOD.replace("  key: 9c41\n", "<<<<<<< HEAD\n  key: 9c41\n=======\n  key: 9c42\n>>>>>>> b\n"),
            "lock.conflict",
            7,
        ),
        ("lock: 1\n||||||| base\n", "lock.conflict", 2),
    ],
)
def test_what_embspec_would_not_have_written_is_refused_with_its_line(text: str, code: str, line: int) -> None:
    """A damaged lock is never read as another one; the exit is 12."""
    assert refusal(text) == (code, line, 12)


@given(st.data())
@settings(max_examples=150)
def test_no_damage_ends_in_a_traceback(data: st.DataObject) -> None:
    """Cut, doubled or torn lines: the lock is read or refused."""
    text = write(
        Lock(
            {
                "corpus": Block(
                    "1", {"bm25": "1"}, {"a": "1"}, {"t": "2"}, "k", {"o": "sha256:f 1"}, {"s": "x"}, "env-3f9a"
                )
            },
            ENVS,
        ),
        STAGES,
    )
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 20)))
    torn = (
        text[:at]
        + data.draw(st.sampled_from(["", "\n", ": ", " ", "\t", '"', "é", "  x:\n", "env-1:\n  a:\n"]))
        + text[end:]
    )
    try:
        write(read(torn, "x.lock"), STAGES)
    except EmbspecError as error:
        assert error.exit == 12


@pytest.mark.parametrize(
    "more", ["newer: 1\n", "corpus.x:\n  recipe: 1\n  news: 3\n", "corpus.x:\n  news:\n    a: 1\n"]
)
def test_a_line_of_a_later_minor_version_is_read_and_never_written(more: str) -> None:
    """An older tool may read the lock, and must not lose the line by writing it."""
    lock = read(GOOD + more, "x.lock")
    assert lock.blocks["corpus"].key == "9c41" and len(lock.unknown) == 1
    with pytest.raises(EmbspecError) as caught:
        write(lock, STAGES)
    assert [p.code for p in caught.value.problems] == ["lock.unknown"] and caught.value.exit == 12
    assert caught.value.problems[0].where == lock.unknown[0]


def test_reading_needs_nothing_heavy() -> None:
    """A lock of 15 stages is read without a YAML library, pydantic, numpy or torch."""
    text = write(
        Lock({f"s{i}": Block("1", {}, {f"p{j}": "1" for j in range(8)}, {}, "k" * 32) for i in range(15)}),
        [f"s{i}" for i in range(15)],
    )
    code = (
        "import sys\nfrom embspec.lock.text import read\nassert len(read(sys.stdin.read(), 'x.lock').blocks) == 15\n"
        "heavy = {'ruamel.yaml', 'yaml', 'pydantic', 'numpy', 'torch', 'click', 'dataclasses'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
