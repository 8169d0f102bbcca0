"""Chunks in the artefact: rows, ids, places, what is looked up, and what is refused."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import xxhash

from embspec.errors import EmbspecError
from embspec.plan.protocol import Made
from embspec.stages import snapshot
from embspec.stages.corpus.make import make
from embspec.stages.snapshot import Document, passage
from embspec.stages.tokens import Tokens
from tests.support.desk import Bank, BankRows, Desk
from tests.support.tiny import tiny_static, tiny_transformer
from tests.support.trees import MemoryTree

PARAMS: Mapping[str, Any] = {
    "corpus.path": ["**/*"], "corpus.fields.id": None, "corpus.fields.text": None, "corpus.fields.title": None,
    "corpus.fields.document": None, "corpus.metadata": [], "corpus.normalize": "nfc",
}
STRUCTURE = {"strategy": "structure", "tokens": 24, "overlap": 0, "context": "none"}
SENTENCES = {"strategy": "sentences", "n": 2}
PAGE = "---\nkind: page\n---\n# Pumps\n\n" + "The pump is old. " * 5 + "\n\n## Oil\n\n" + "The oil is hot. " * 9
Files = Mapping[str, str]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of vectors: its tokens are words."""
    return tiny_static(tmp_path_factory.mktemp("base"))


def built(
    folder: Path, files: Files, chunking: Mapping[str, Any], base: Path | None = None, bank: Bank | None = None,
    **params: Any
) -> tuple[Made, list[dict[str, Any]], Path]:
    """What the stage says, its rows, and where its artefacts lie."""
    out = folder / "out"
    out.mkdir(parents=True)
    asked = {**PARAMS, **{f"corpus.chunking.{name}": value for name, value in chunking.items()}, **params}
    needs: dict[str, Any] = {"live": MemoryTree(files), **({"base/base": base} if base else {})}
    desk = Desk(folder / "scratch", {"base/base": "tree b"} if base else {}, bank=bank)
    made = make(asked, needs, out, desk)
    lines = (out / "documents.jsonl").read_text("utf-8").split("\n")[:-1]
    return made, [json.loads(line) for line in lines], out


def refused(folder: Path, files: Files, chunking: Mapping[str, Any], base: Path | None, **params: Any) -> Any:
    """The one problem of a stage that must fail."""
    with pytest.raises(EmbspecError) as caught:
        built(folder, files, chunking, base, **params)
    (problem,) = caught.value.problems
    return problem


def test_rows_of_chunks(tmp_path: Path, base: Path) -> None:
    """Each is known by its document and span, carries its metadata, and is exactly that part of the text."""
    made, rows, out = built(tmp_path, {"a.md": PAGE}, STRUCTURE, base, **{"corpus.metadata": ["kind"]})
    text = PAGE.split("---\n")[2]
    assert made.stat == {"documents": 1, "chunks": len(rows)} and len(rows) > 3
    assert [list(row) for row in rows] == [
        ["id", "title", "text", "document", "metadata", "start", "end"]] * len(rows)
    for row in rows:
        assert row["id"] == f"a.md#{row['start']}-{row['end']}" and row["document"] == "a.md"
        assert row["text"] == text[row["start"] : row["end"]] and row["metadata"] == {"kind": "page"}
        assert row["title"] == "Pumps"
        assert Tokens(base).count(passage(Document.of(row))) <= 24
    assert "".join(row["text"] for row in sorted(rows, key=lambda row: row["start"])) == text
    hashed = [f"{row['id']}\t{xxhash.xxh3_128_hexdigest(b'Pumps' + bytes(1) + row['text'].encode())}\n" for row in rows]
    assert (out / "manifest").read_text("utf-8") == "".join(hashed)


def test_rows_are_in_the_order_of_their_ids(tmp_path: Path, base: Path) -> None:
    """By code points, also where one document is called as another and a span."""
    words = "The pump is old. " * 40
    ids = ["a", "a!", "a#1", "a#0-9", "a#5", "b", "a#"]
    rows = [json.dumps({"id": id, "text": words}) + "\n" for id in ids]
    _, found, out = built(tmp_path, {"x.jsonl": "".join(rows)}, STRUCTURE, base)
    names = [row["id"] for row in found]
    assert names == sorted(names) and len(names) == len(set(names)) and {row["document"] for row in found} == set(ids)
    assert [line.split("\t")[0] for line in (out / "manifest").read_text("utf-8").split("\n")[:-1]] == names


def test_context_is_read_and_is_no_part_of_the_text(tmp_path: Path, base: Path) -> None:
    """It stands before the text of what the model reads, moves the digest, and moves no offset."""
    _, plain, out = built(tmp_path / "1", {"a.md": PAGE}, STRUCTURE, base)
    _, rows, other = built(tmp_path / "2", {"a.md": PAGE}, {**STRUCTURE, "context": "headings", "tokens": 25}, base)
    below = [row for row in rows if row.get("context")]
    assert below and {row["context"] for row in below} == {"Oil"}
    assert passage(Document.of(below[0])).startswith("Pumps Oil The oil")
    assert [row["text"] for row in rows] == [row["text"] for row in plain] and rows != plain
    assert (out / "manifest").read_bytes() != (other / "manifest").read_bytes()


def test_a_changed_file_cuts_itself_alone(tmp_path: Path, base: Path) -> None:
    """What was cut before is looked up, and the bytes are those of an empty bank; another limit looks up nothing."""
    files = {f"{name}.md": PAGE.replace("old", word) for name, word in (("a", "new"), ("b", "big"), ("c", "small"))}
    bank = Bank()
    cold, _, out = built(tmp_path / "1", files, STRUCTURE, base, bank)
    warm, _, again = built(tmp_path / "2", files, STRUCTURE, base, bank)
    assert (cold.counts["cut"], warm.counts["cut"]) == (3, 0)
    changed = {**files, "b.md": PAGE.replace("old", "hot")}
    made, _, moved = built(tmp_path / "3", changed, STRUCTURE, base, bank)
    _, _, fresh = built(tmp_path / "4", changed, STRUCTURE, base)
    assert made.counts["cut"] == 1
    assert built(tmp_path / "5", files, {**STRUCTURE, "tokens": 30}, base, bank)[0].counts["cut"] == 3
    for one, other in ((out, again), (moved, fresh)):
        assert (one / "documents.jsonl").read_bytes() == (other / "documents.jsonl").read_bytes()


def test_documents_of_the_same_title_and_text_are_cut_once(tmp_path: Path, base: Path) -> None:
    """Each has its rows."""
    made, rows, _ = built(tmp_path, {"a.md": PAGE, "b.md": PAGE}, STRUCTURE, base)
    assert made.counts["cut"] == 1 and {row["document"] for row in rows} == {"a.md", "b.md"}


def test_sentences_need_no_model(tmp_path: Path) -> None:
    """So many sentences each."""
    files = {"a.jsonl": json.dumps({"id": "a", "text": "One is. Two is. Three is."})}
    made, rows, _ = built(tmp_path, files, SENTENCES)
    assert [row["text"] for row in rows] == ["One is. Two is. ", "Three is."]
    assert [row["id"] for row in rows] == ["a#0-16", "a#16-25"] and made.stat == {"documents": 1, "chunks": 2}


def test_a_long_title_is_shortened_and_said(tmp_path: Path, base: Path) -> None:
    """The text has half of every chunk at least."""
    row = {"id": "a", "title": "water oil gas " * 20, "text": "The pump is old. " * 9}
    desk = Desk(tmp_path / "scratch", {"base/base": "tree b"})
    (tmp_path / "out").mkdir()
    asked = {**PARAMS, **{f"corpus.chunking.{name}": value for name, value in STRUCTURE.items()}}
    make(asked, {"live": MemoryTree({"a.jsonl": json.dumps(row)}), "base/base": base}, tmp_path / "out", desk)
    first = json.loads((tmp_path / "out" / "documents.jsonl").read_text("utf-8").split("\n")[0])
    assert first["title"] == " ".join(("water oil gas " * 4).split())
    assert any("were shortened: a" in event.text for event in desk.told)


def test_tokens_without_a_model_are_refused(tmp_path: Path) -> None:
    """Nobody counts them; sentences are named as the way out."""
    problem = refused(tmp_path, {"a.md": PAGE}, STRUCTURE, None)
    assert (problem.code, problem.field) == ("spec.conflict", "corpus.chunking.strategy")
    assert "sentences" in problem.fix


@pytest.mark.parametrize(("tokens", "said"), [(65, "65 tokens are longer than the 64"), (9, "take 2 of 9 tokens")])
def test_a_limit_that_cannot_be_is_refused(tmp_path: Path, tokens: int, said: str) -> None:
    """Over what the model reads, and under what its marks and a text need: both with the numbers."""
    chunking = {**STRUCTURE, "tokens": tokens}
    problem = refused(tmp_path, {"a.md": PAGE}, chunking, tiny_transformer(tmp_path))
    assert (problem.code, problem.field) == ("spec.range", "corpus.chunking.tokens")
    assert said in problem.text and f"tokens: {64 if tokens > 64 else 10}" in problem.fix


def test_a_limit_and_files_are_told_of_together(tmp_path: Path) -> None:
    """What is wrong with how documents are cut hides nothing of what is wrong with them."""
    with pytest.raises(EmbspecError) as caught:
        built(tmp_path, {"a.jsonl": '{"id": "a"}'}, {**STRUCTURE, "tokens": 9}, tiny_transformer(tmp_path))
    assert [problem.code for problem in caught.value.problems] == ["spec.range", "input.field"]


def test_large_documents_are_not_cut_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many documents there are, no more letters are in memory than those of one, or of a block; same bytes."""
    files = {f"{n}.md": f"# {n}\n\n" + "The pump is old. " * 9 for n in range(9)}
    _, _, before = built(tmp_path / "1", files, SENTENCES)
    finds: list[int] = []
    plain = BankRows.find
    monkeypatch.setattr(BankRows, "find", lambda self, names: finds.append(len(names)) or plain(self, names))
    _, _, after = built(tmp_path / "2", files, SENTENCES)
    assert max(finds) == 9
    finds.clear()
    monkeypatch.setattr(snapshot, "LARGE", 500)
    _, _, small = built(tmp_path / "3", files, SENTENCES)
    assert max(finds) == 2
    assert len({(out / "documents.jsonl").read_bytes() for out in (before, after, small)}) == 1


def test_rows_that_are_chunks_already_are_refused(tmp_path: Path, base: Path) -> None:
    """Their parent is not the row, so that a span would mean two things."""
    rows = json.dumps({"id": "a", "text": "x", "of": "b"})
    problem = refused(tmp_path, {"a.jsonl": rows}, STRUCTURE, base, **{"corpus.fields.document": "of"})
    assert (problem.code, problem.field) == ("spec.conflict", "corpus.fields.document")
