"""One question asked of the index that was built, and of the untuned base beside it."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from embspec.errors import fail
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval import fusion, knn, quantize
from embspec.retrieval.bags import Bags
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import tokenizer
from embspec.serve.manifest import RETRIEVAL, Manifest, document, manifest
from embspec.stages.encoder import opened
from embspec.stages.snapshot import Document, documents, passage

VECTORS, ROWS = "vectors/", "rows/"
SHOWN, DIGITS = 240, 4  # characters of a text, and digits of a score, that a person is shown

Floats = NDArray[np.float32]
Hits = Sequence[tuple[str, float]]


class Index(NamedTuple):
    """An index folder that belongs to the model it is asked with."""

    folder: Path
    manifest: Manifest
    retrieval: Mapping[str, Any]

    def files(self, kind: str) -> list[Path]:
        """The files of one kind, in the order of shards."""
        return [self.folder / shard.file for shard in self.manifest.shards if shard.file.startswith(kind)]

    def rows(self) -> Iterator[Document]:
        """Every row, in the order of the vectors."""
        for path in self.files(ROWS):
            yield from documents(path)

    def vectors(self) -> Iterator[Floats]:
        """Every vector as it is scored, a shard at a time."""
        how = self.retrieval
        ends = quantize.ends(how["ranges"])
        for path in self.files(VECTORS):
            yield quantize.scored(load_file(path)["vectors"], how["precision"], how["dim"], ends)


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `results.json`: the best `k` rows for `query`, as the index serves them and as the base would."""
    index = _index(needs["index/index"], desk.digests["train/model"])
    ids = [row.id for row in index.rows()]
    query, k = params["query"], params["k"]
    tuned, encoded = _tuned(index, ids, query, k, needs["train/model"], desk)
    desk.tell(Progress(f"the base's vectors of {len(ids)} documents"))
    base, more = _base(index, ids, query, k, needs["base/base"], desk)
    texts = _texts(index, {id for id, _ in (*tuned, *base)})
    found = {"query": query, "tuned": _shown(tuned, texts), "base": _shown(base, texts)}
    (out / "results.json").write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return Made(counts={"encoded": encoded + more, "rows": len(ids)})


def _index(folder: Path, model: str) -> Index:
    found = manifest(str(folder))
    if found.model != model:
        raise fail("guard.model", f"the index was made by another model: it names {found.model}, this one is {model}",
                   fix="run `embspec build`: model and index of one build belong together")
    return Index(folder, found, document(str(folder), RETRIEVAL))


def _tuned(index: Index, ids: Sequence[str], query: str, k: int, model: Path, desk: Desk) -> tuple[Hits, int]:
    """What serves: the chosen dim, precision and fusion."""
    encoder, how = opened(model, desk.digests["train/model"], desk), index.retrieval
    depth = how["depth"]  # deeper lists would be put together otherwise than those that were gated
    asked = knn.cut(encoder.queries([query]), how["dim"], how["similarity"])
    dense = knn.top_of(asked, index.vectors(), ids, max(depth, k))[0]
    if how["fusion"]["method"] == "none":
        return dense[:k], encoder.encoded
    words = how["bm25"]
    tokenize = tokenizer(words)
    bags = Bags.of((passage(row).split() for row in index.rows()), tokenize.spell)
    bm25 = BM25(ids, bags, words["k1"], words["b"])
    found = fusion.fused(how["fusion"], dense[:depth], bm25.search(tokenize(query), depth), 2 * depth)
    have = {id for id, _ in found}
    return [*found, *(hit for hit in dense if hit[0] not in have)][:k], encoder.encoded


def _base(index: Index, ids: Sequence[str], query: str, k: int, model: Path, desk: Desk) -> tuple[Hits, int]:
    """The base at its own best: every column, float32, alone; its vectors come from the bank where it has them."""
    encoder = opened(model, desk.digests["base/base"], desk)
    compared = partial(knn.cut, dim=encoder.dim, similarity=encoder.similarity)
    blocks = map(compared, encoder.blocks(passage(row) for row in index.rows()))
    return knn.top_of(compared(encoder.queries([query])), blocks, ids, k)[0], encoder.encoded


def _texts(index: Index, wanted: set[str]) -> dict[str, Document]:
    return {row.id: row for row in index.rows() if row.id in wanted}


def _shown(hits: Hits, texts: Mapping[str, Document]) -> list[dict[str, Any]]:
    return [
        {"id": id, "score": round(score, DIGITS), "title": texts[id].title, "text": _beginning(texts[id].text)}
        for id, score in hits
    ]


def _beginning(text: str) -> str:
    plain = " ".join(text[: 4 * SHOWN].split())
    return plain if len(plain) <= SHOWN else plain[: SHOWN - 1].rstrip() + "…"
