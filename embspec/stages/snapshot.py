"""The documents of a snapshot, and how questions are ranked over them by words."""
from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from embspec.plan.protocol import Desk, Params
from embspec.retrieval.bags import Bags
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import Tokenizer, layers, tokenizer
from embspec.stages.counted import Counted

T = TypeVar("T")

MANY, LARGE = 256, 1 << 20  # items of a block, and letters of them together, at most


class Document(NamedTuple):
    """What ranking needs of a document."""

    id: str
    title: str
    text: str
    context: str = ""  # of a chunk: the headings over it

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Document:
        """A row of `documents.jsonl`."""
        return cls(row["id"], row["title"] or "", row["text"], row.get("context") or "")


class Echoes:
    """The documents that are nothing but a question that will be asked: no ranking is worth more by finding them."""

    def __init__(self, questions: Iterable[str]) -> None:
        self._found: dict[str, list[str]] = {_plain(question): [] for question in questions}
        self._longest = max((question.count(" ") + 1 for question in self._found), default=0)

    def see(self, document: Document) -> None:
        """Look at one more document; most have more words than any question, and are not looked at to their end."""
        words = document.text.split(None, self._longest)
        if len(words) <= self._longest and (text := " ".join(words)) in self._found:
            self._found[text].append(document.id)

    def of(self, question: str, judged: Collection[str]) -> set[str]:
        """Those that only repeat one of the questions; a document that is judged right is none of them."""
        return {id for id in self._found[_plain(question)] if id not in judged}


class Lexical(NamedTuple):
    """BM25 over a snapshot, and the documents that are nothing but a question that will be asked."""

    bm25: BM25
    tokenize: Tokenizer
    echoes: Echoes

    def hits(self, text: str, judged: Collection[str], depth: int) -> list[tuple[str, float]]:
        """The best documents with their scores, without those that only repeat the question."""
        skip = self.echoes.of(text, judged)
        found = self.bm25.search(self.tokenize(text), depth + len(skip))
        return [(document, score) for document, score in found if document not in skip][:depth]

    def rank(self, text: str, judged: Collection[str], depth: int) -> list[str]:
        """The same without scores."""
        return [document for document, _ in self.hits(text, judged, depth)]


def passage(document: Document) -> str:
    """The text that stands for a document wherever it is searched: title first, and the headings over a chunk."""
    if document.context:
        return f"{document.title} {document.context} {document.text}".strip()
    return f"{document.title} {document.text}".strip()


def documents(path: Path) -> Iterator[Document]:
    """The documents of `documents.jsonl`, one at a time."""
    return map(Document.of, rows(path))


def lexical(
    path: Path, said: Mapping[str, Any], params: Params, questions: Iterable[str], desk: Desk
) -> Lexical:
    """BM25 over title and text by the tokenizer that was chosen, made for these questions; the texts stream.

    Where there are some, no other words will be looked for, and none are kept.
    """
    asked = list(questions)
    tokenize, echoes, ids = tokenizer(said), Echoes(asked), list[str]()
    only = {token for question in asked for token in tokenize(question)} if asked else None
    plain, spell = layers(said)
    bags = Bags(spell, only)
    for found in Counted(desk, [plain]).heaps(passages(path, ids, echoes)):
        bags.add(found[plain])
    return Lexical(BM25(ids, bags, k1=params["eval.bm25.k1"], b=params["eval.bm25.b"]), tokenize, echoes)


def passages(path: Path, ids: list[str], echoes: Echoes) -> Iterator[str]:
    """Title and text of each document as BM25 reads them; who it was is noted on the way."""
    for document in documents(path):
        ids.append(document.id)
        echoes.see(document)
        yield passage(document)


def classes(params: Params, needs: Mapping[str, Any]) -> dict[str, str]:
    """Exact duplicates of one another, by the digest of their text: each that has one, and the first of them.

    Where one of them is an answer they are all that answer. The spec may say that they are not.
    """
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    if not params["corpus.dedup.exact"]:
        return same
    # Not splitlines: an id may hold a line separator that only Unicode knows.
    for line in needs["snapshot/manifest"].read_text(encoding="utf-8").split("\n")[:-1]:
        document, digest = line.split("\t")
        if first.setdefault(digest, document) != document:
            same[document] = first[digest]
            same[first[digest]] = first[digest]
    return same


def chosen_tokenizer(needs: Mapping[str, Any]) -> dict[str, Any]:
    """The tokenizer that was chosen for BM25, with its language where it has one."""
    said: dict[str, Any] = json.loads(needs["lexical/tokenizer.json"].read_bytes())
    return said


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an artefact with one JSON object in each line."""
    with open(path, "rb") as lines:
        yield from map(loaded, lines)


def loaded(line: bytes) -> Any:
    """What a line says; json would look for its encoding first."""
    return json.loads(str(line, "utf-8", "surrogatepass"))


def blocks(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Items some at a time, in order; a large one comes alone, so that memory does not grow with how large all are."""
    block: list[T] = []
    held = 0
    for item in items:
        if block and (len(block) == MANY or held + size(item) > LARGE):
            yield block
            block, held = [], 0
        block.append(item)
        held += size(item)
    if block:
        yield block


def count(path: Path) -> int:
    """How many lines an artefact has."""
    with open(path, "rb") as lines:
        return sum(1 for _ in lines)


def _plain(text: str) -> str:
    return " ".join(text.split())


def normalise(question: str) -> str:
    """The form in which two questions are the same one."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())
