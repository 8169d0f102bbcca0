"""Contexts that a program writes: whatever it says no chunk is over, and who is asked about what."""
from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.plan.protocol import Made
from embspec.stages.corpus.chunks import Rule, Tokenizer, by_structure, fitted, shortened
from embspec.stages.corpus.make import make
from embspec.stages.snapshot import Document, passage
from embspec.stages.tokens import Tokens
from tests.stages.corpus.test_chunks import TEXTS, TITLES, Letters, read
from tests.support.desk import Answering, Bank, Desk
from tests.support.tiny import tiny_static, tiny_transformer
from tests.support.trees import MemoryTree

PARAMS: Mapping[str, Any] = {
    "corpus.path": ["**/*"], "corpus.fields.id": None, "corpus.fields.text": None, "corpus.fields.title": None,
    "corpus.fields.document": None, "corpus.metadata": ["path"], "corpus.normalize": "nfc",
    "corpus.chunking.strategy": "structure", "corpus.chunking.tokens": 32, "corpus.chunking.overlap": 0,
    "corpus.chunking.context.command": "python ctx.py", "corpus.chunking.context.tokens": 10,
}
PAGE = "# Pumps\n\n" + "The pump is old. " * 9 + "\n\n## Oil\n\n" + "The oil is hot. " * 12
FILES = {"a.md": PAGE, "b.md": "# Valves\n\nA valve is open.", "program:ctx.py": "one"}
WORDS = ("", "water", "oil and  salt", "x" * 300, "the pump " * 40, "漢字", "ﷺ", "👩‍👩‍👧‍👦", "\n", "a\tb")
SAID = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """A base whose tokens are words, and one with pieces of words and marks of its own."""
    return [tiny_static(tmp_path_factory.mktemp("words")), tiny_transformer(tmp_path_factory.mktemp("pieces"))]


@settings(deadline=None, max_examples=150)
@given(TEXTS, TITLES, SAID, st.sampled_from((16, 40, 100)), st.sampled_from((1, 4, 30)), st.integers(0, 2))
def test_no_chunk_is_over(
    folders: Sequence[Path], text: str, title: str, said: str, size: int, room: int, which: int
) -> None:
    """A context is a beginning of what was said, as long as there is room: the limit and its own are never exceeded,
    and it is whole wherever it fits."""
    tokens: Tokenizer = Letters() if which == 2 else Tokens(folders[which])
    said, rule = " ".join(said.split()), Rule(size, context=room)
    title = shortened(title, rule, tokens)
    marks = tokens.count("")
    for start, end, _ in by_structure(text, title, rule, tokens, read)[:4]:
        part = text[start:end]
        short = fitted(said, title, part, rule, tokens, read)
        assert said.startswith(short)
        assert tokens.count(read(title, short, part)) <= size + room
        assert tokens.count(short) - marks <= room or not short
        if tokens.count(said) - marks <= room and tokens.count(read(title, said, part)) <= size + room:
            assert short == said or len(said) > 16 * room


def test_a_word_is_not_cut_in_two() -> None:
    """A context that is too long ends behind a word, unless it is one."""
    rule = Rule(20, context=8)
    assert fitted("oil and water", "", "x", rule, Letters(), read) == "oil and"
    assert fitted("oil and water", "", "x", rule._replace(context=10), Letters(), read) == "oil and"
    assert fitted("oil an", "", "x", rule, Letters(), read) == "oil an"
    assert fitted("unbrokenword", "", "x", rule, Letters(), read) == "unbroken"


def test_an_endless_context_is_not_counted() -> None:
    """What cannot fit whatever it is made of is cut before anything is counted."""

    class Counting(Letters):
        def count(self, passage: str) -> int:
            longest.append(len(passage))
            return super().count(passage)

    longest: list[int] = []
    rule = Rule(20, context=8)
    assert fitted("oil " * 10_000, "", "x", rule, Counting(), read) == "oil oil"
    assert max(longest) < 1000


class Built(NamedTuple):
    """What came of one run."""

    made: Made
    rows: list[dict[str, Any]]
    desk: Desk
    files: Mapping[str, bytes]

    @property
    def asked(self) -> list[str]:
        """The documents that were asked about."""
        return [one["id"] for some in self.desk.asked for one in some]


@pytest.fixture
def run(tmp_path: Path, folders: Sequence[Path]) -> Callable[..., Built]:
    """Runs the stage again and again, as builds of one spec do; the bank is empty unless one is handed over."""
    number = iter(range(100))

    def built(files: Mapping[str, str] = FILES, program: Answering | None = None, bank: Bank | None = None,
              pinned: bytes | None = None, digest: str = "tree b", **chunking: Any) -> Built:
        folder = tmp_path / str(next(number))
        out = folder / "out"
        out.mkdir(parents=True)
        params = {**PARAMS, **{f"corpus.chunking.{name}": value for name, value in chunking.items()}}
        needs: dict[str, Any] = {"live": MemoryTree(files), "base/base": folders[0]}
        if pinned is not None:
            (folder / "pinned").write_bytes(pinned)
            needs["pin.contexts"] = folder / "pinned"
            params["pin.contexts"] = "sha256:x 1"
        digests = {"base/base": digest} if digest else {}
        desk = Desk(folder / "scratch", digests, bank=bank, kept=tmp_path / "kept", program=program)
        made = make(params, needs, out, desk)
        found = {path.name: path.read_bytes() for path in sorted(out.iterdir())}
        found |= {name: path.read_bytes() for name, path in made.keep.items()}
        rows = [json.loads(line) for line in found["documents.jsonl"].decode().split("\n")[:-1]]
        return Built(made, rows, desk, found)

    return built


def parts(questions: list[Any]) -> Iterator[str]:
    """Says of each chunk which part it is, in another order than it was asked."""
    for one in reversed(questions):
        found = [f"part {n} of\n {one['title']}" for n, _ in enumerate(one["chunks"])]
        yield json.dumps({"id": one["id"], "contexts": found})


def saying(text: str) -> Answering:
    """A program that says the same of every chunk."""
    return lambda some: (json.dumps({"id": one["id"], "contexts": [text] * len(one["chunks"])}) for one in some)


def test_rows_have_what_was_said(run: Callable[..., Built], folders: Sequence[Path]) -> None:
    """Each chunk carries its own context on one line, and with it is under the limit."""
    built = run(program=parts)
    assert built.made.stat == {"documents": 2, "chunks": len(built.rows)} and built.made.counts["calls"] == 2
    assert [row["context"] for row in built.rows if row["document"] == "b.md"] == ["part 0 of Valves"]
    pumps = sorted((row for row in built.rows if row["document"] == "a.md"), key=lambda row: row["start"])
    assert [row["context"] for row in pumps] == [f"part {n} of Pumps" for n in range(len(pumps))]
    assert all(Tokens(folders[0]).count(passage(Document.of(row))) <= 32 for row in built.rows)
    roomy = run(program=parts, **{"context.tokens": 1}).rows
    assert len(pumps) > sum(row["document"] == "a.md" for row in roomy)


def test_what_is_asked(run: Callable[..., Built]) -> None:
    """One question a document: id, title, metadata, text, the chunks as they are cut, and how many tokens there are."""
    built = run(program=parts)
    (first, second), = built.desk.asked
    assert list(first) == ["id", "title", "metadata", "text", "chunks", "tokens"]
    assert (first["id"], first["title"], first["metadata"], first["tokens"]) == ("a.md", "Pumps", {"path": "a.md"}, 10)
    assert first["text"] == PAGE == "".join(first["chunks"]) and second["id"] == "b.md"


def test_one_edited_document(run: Callable[..., Built]) -> None:
    """Is asked about alone; the answers of the others, and nothing of a document that is gone, stay with the lock."""
    first = run(program=parts)
    pinned = first.files["contexts"]
    edited = run({**FILES, "b.md": "# Valves\n\nIt is shut."}, parts, pinned=pinned)
    assert edited.asked == ["b.md"]
    gone = run({name: text for name, text in FILES.items() if name != "b.md"}, parts, pinned=pinned)
    assert gone.asked == [] and gone.files["contexts"] == pinned.splitlines(keepends=True)[0]
    assert run({**FILES, "program:ctx.py": "two"}, parts, pinned=pinned).asked == ["a.md", "b.md"]


def test_the_pin_alone_gives_the_bytes(run: Callable[..., Built]) -> None:
    """With the answers of the lock every byte is the same: bank empty, warm, or warm of other answers and limits."""
    said = saying("the pump is old")
    first, bank = run(program=said), Bank()
    run(program=saying("x"), bank=bank)
    run(program=said, bank=bank, **{"context.tokens": 3})
    narrow: dict[str, Any] = {"tokens": 24, "context.tokens": 2}  # cut alike, with less room for a context
    assert run(program=said, bank=bank, **narrow).files == run(program=said, **narrow).files != first.files
    for desk in (None, bank, bank):
        again = run(pinned=first.files["contexts"], bank=desk)
        assert (again.files, again.asked) == (first.files, [])
    assert run(program=said, bank=bank, pinned=first.files["contexts"]).files == first.files
    spaces = set(bank.spaces)
    again = run(pinned=first.files["contexts"], bank=bank, digest="")  # nothing is kept of a base that nobody knows
    chunks = {space for space in bank.spaces if {"tokens", "contexts"} & dict(space).keys()}
    assert again.files == first.files and chunks == {space for space in spaces if space in chunks}


def test_too_long_is_said(run: Callable[..., Built]) -> None:
    """What had to be shortened is told, each time, whether it was known or not."""
    bank = Bank()
    pinned = run(program=saying("oil " * 40), bank=bank).files["contexts"]
    again = run(pinned=pinned, bank=bank)
    assert [event.text for event in again.desk.told if "shortened" in event.text] == [
        "contexts longer than 10 tokens were shortened: a.md, b.md"]
    assert all(row["context"] == " ".join(["oil"] * 10) for row in again.rows)


def test_a_look_at_the_inputs_asks_nobody(run: Callable[..., Built]) -> None:
    """A check cuts as a build does, and leaves contexts out."""
    looked, built = run(), run(program=parts)
    assert [row["id"] for row in looked.rows] == [row["id"] for row in built.rows]
    assert not any("context" in row for row in looked.rows) and looked.asked == []


def test_nothing_is_asked_of_what_says_nothing(run: Callable[..., Built]) -> None:
    """A chunk of white space is no row and needs no context; an empty context is none."""
    files = {"a.txt": "oil" + "\n" * 700 + "salt", "program:ctx.py": "one"}
    built = run(files, saying(""))
    (question,), = built.desk.asked
    assert len(question["chunks"]) == len(built.rows) and all(text.strip() for text in question["chunks"])
    assert not any("context" in row for row in built.rows)


def test_texts_that_cannot_be_cut_are_told_before_anybody_is_asked(run: Callable[..., Built]) -> None:
    """A limit that is too narrow for what stands in front costs no question."""
    asked = []
    with pytest.raises(EmbspecError) as caught:
        run(program=lambda some: asked.append(some) or (), tokens=12, **{"context.tokens": 10})
    assert caught.value.problems[0].field == "corpus.chunking.tokens"
    assert "and a context 10" in caught.value.problems[0].text and not asked


ANSWERS = {
    "no contexts": ({}, "no field 'contexts'"),
    "a text": ({"contexts": "x"}, "`contexts` is a text, expected a list"),
    "too few": ({"contexts": []}, "0 contexts for 1 chunk"),
    "too many": ({"contexts": ["x", "y"]}, "2 contexts for 1 chunk"),
    "a number": ({"contexts": [3]}, "a context must be a text, found a number"),
    "null": ({"contexts": [None]}, "a context must be a text, found null"),
}


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_what_is_no_context(run: Callable[..., Built], kind: str) -> None:
    """An answer that is not one text for each chunk is told by its document."""
    values, said = ANSWERS[kind]
    with pytest.raises(EmbspecError) as caught:
        run({"b.md": FILES["b.md"], "program:ctx.py": "one"}, lambda some: [json.dumps({"id": "b.md", **values})])
    assert caught.value.problems[0].code == "stage.answers"
    assert caught.value.problems[0].text == f"'b.md': {said}"


def test_the_page_about_it_is_true(run: Callable[..., Built]) -> None:
    """The program in docs/chunks.md answers the question there as is shown, and the question is one that is asked."""
    page = (Path(__file__).parents[3] / "docs" / "chunks.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"```\w+ (\S+)\n(.*?)```", page, re.DOTALL))
    question = json.loads(shown["question"])
    program = [sys.executable, "-c", shown["tools/context.py"]]
    said = subprocess.run(program, input=shown["question"], capture_output=True, text=True, check=True).stdout
    assert said == shown["answer"]
    built = run({"docs/leave.md": question["text"], "program:ctx.py": ""}, saying(""),
                **{"tokens": 256, "context.tokens": None})
    ((asked,),) = built.desk.asked
    assert {**asked, "metadata": {}} == question
