"""The documents of a snapshot, and how questions are ranked over them by words."""
from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.plan.protocol import Params
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import TOKENIZERS, Tokenizer


class Document(NamedTuple):
    """What ranking needs of a document."""

    id: str
    title: str
    text: str


class Lexical(NamedTuple):
    """BM25 over a snapshot, and the documents that are nothing but a question that will be asked."""

    bm25: BM25
    tokenize: Tokenizer
    echoes: Mapping[str, Sequence[str]]

    def skipped(self, text: str, judged: Collection[str]) -> set[str]:
        """The documents that only repeat the question; one that is judged right is none of them."""
        return {document for document in self.echoes[_plain(text)] if document not in judged}

    def hits(self, text: str, judged: Collection[str], depth: int) -> list[tuple[str, float]]:
        """The best documents with their scores, without those that only repeat the question."""
        skip = self.skipped(text, judged)
        found = self.bm25.search(self.tokenize(text), depth + len(skip))
        return [(document, score) for document, score in found if document not in skip][:depth]

    def rank(self, text: str, judged: Collection[str], depth: int) -> list[str]:
        """The same without scores."""
        return [document for document, _ in self.hits(text, judged, depth)]


def passage(document: Document) -> str:
    """The text that stands for a document wherever it is searched: title first."""
    return f"{document.title} {document.text}".strip()


def documents(path: Path) -> Iterator[Document]:
    """The rows of `documents.jsonl`, one at a time."""
    with open(path, "rb") as lines:
        for line in lines:
            row = json.loads(line)
            yield Document(row["id"], row["title"] or "", row["text"])


def lexical(path: Path, tokenizer: str, params: Params, questions: Iterable[str]) -> Lexical:
    """BM25 over title and text, made for these questions; the texts stream."""
    tokenize = TOKENIZERS[tokenizer]
    echoes: dict[str, list[str]] = {_plain(question): [] for question in questions}
    ids = []
    for document in documents(path):
        ids.append(document.id)
        if (text := _plain(document.text)) in echoes:
            echoes[text].append(document.id)
    tokens = (tokenize(passage(document)) for document in documents(path))
    return Lexical(BM25(ids, tokens, k1=params["eval.bm25.k1"], b=params["eval.bm25.b"]), tokenize, echoes)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of an artefact with one JSON object in each line."""
    with open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)


def _plain(text: str) -> str:
    return " ".join(text.split())


def normalise(question: str) -> str:
    """The form in which two questions are the same one."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split())
