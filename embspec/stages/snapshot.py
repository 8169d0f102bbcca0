"""The documents of a snapshot, for every stage that reads them."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import TOKENIZERS


class Document(NamedTuple):
    """What ranking needs of a document."""

    id: str
    title: str
    text: str


def documents(path: Path) -> Iterator[Document]:
    """The rows of `documents.jsonl`, one at a time."""
    with open(path, "rb") as lines:
        for line in lines:
            row = json.loads(line)
            yield Document(row["id"], row["title"] or "", row["text"])


def lexical_index(path: Path, tokenizer: str, k1: float, b: float) -> BM25:
    """BM25 over title and text; the texts stream."""
    tokenize = TOKENIZERS[tokenizer]
    ids = [document.id for document in documents(path)]
    return BM25(ids, (tokenize(f"{d.title} {d.text}") for d in documents(path)), k1=k1, b=b)
