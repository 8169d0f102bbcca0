"""One question, asked of an index as it serves and of the base beside it."""
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embspec.errors import EmbspecError
from embspec.plan.protocol import Made
from embspec.retrieval import quantize
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import tokenizer
from embspec.serve.search import SHOWN, make
from embspec.stages.encoder import opened
from embspec.stages.index.make import make as make_index
from tests.support.benches import lines
from tests.support.desk import Bank, Desk
from tests.support.tiny import WORDS, tiny_static

TUNED, BASE = "tree sha256:tuned", "tree sha256:base"
QUERY = "reset the valve"
DOCUMENTS = {f"d{n:02}": (WORDS.split()[n], " ".join(WORDS.split()[n : n + 9])) for n in range(0, 90, 3)}
DOCUMENTS["valve"] = ("", "press the button to reset the valve")
PLAIN = {"tokenizer": "words"}  # as it was written before there were languages
STEMMED = {"tokenizer": "words", "language": "english", "stem": True}
NONE, RRF, WEIGHTED = {"method": "none"}, {"method": "rrf", "k": 60}, {"method": "weighted", "weight": 0.7}


class Shop:
    """A tuned model, its base, and an index that the index stage wrote."""

    def __init__(self, folder: Path, dim: int = 64, precision: str = "float32",
                 fusion: Mapping[str, Any] | None = None, words: Mapping[str, Any] = PLAIN) -> None:
        self.folder, self.bank, self.fusion, self.words = folder, Bank(), fusion or NONE, words
        self.dim, self.precision = dim, precision
        self.tuned, self.base = tiny_static(folder / "tuned", seed=1), tiny_static(folder / "base", seed=2)
        self.ids = sorted(DOCUMENTS)
        self.texts = [" ".join(DOCUMENTS[id]).strip() for id in self.ids]
        whole = self.vectors(self.tuned, TUNED)[1]
        self.ranges = quantize.ranges(_unit(whole[:, :dim]).astype(np.float32))
        self.index = self._index()

    def _index(self) -> Path:
        rows = [{"id": id, "title": DOCUMENTS[id][0], "text": DOCUMENTS[id][1], "document": None, "metadata": {}}
                for id in self.ids]
        needs: dict[str, Any] = {
            "corpus/documents.jsonl": lines(self.folder / "documents.jsonl", rows), "train/model": self.tuned,
        }
        low, high = self.ranges
        artefacts = {
            "choose/choice.json": {"dim": self.dim, "precision": self.precision, "similarity": "cosine",
                                   "fusion": self.fusion, "fused": RRF, "depth": 20},
            "export/ranges.json": {"dims": {str(self.dim): {"low": low.tolist(), "high": high.tolist()}}},
            "lexical/tokenizer.json": self.words,
        }
        for role, content in artefacts.items():
            needs[role] = self.folder / role.replace("/", "-")
            needs[role].write_text(json.dumps(content), encoding="utf-8")
        params = {"corpus.metadata": [], "eval.bm25.k1": 1.2, "eval.bm25.b": 0.75}
        desk = Desk(self.folder / "scratch", {"train/model": TUNED, "corpus/documents.jsonl": "sha256:c"}, 0, self.bank)
        make_index(params, needs, self.folder, desk)
        return self.folder / "index"

    def vectors(self, model: Path, digest: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """The question's vector and those of all documents, as the model gives them."""
        encoder = opened(model, digest, Desk(self.folder / "aside"))
        return encoder.queries([QUERY]).astype(float), encoder.documents(self.texts).astype(float)

    def ask(self, query: str = QUERY, k: int = 5, model: str = TUNED) -> tuple[dict[str, Any], Made]:
        """The results and what was made."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        needs = {"index/index": self.index, "train/model": self.tuned, "base/base": self.base}
        desk = Desk(self.folder / "scratch", {"train/model": model, "base/base": BASE}, 0, self.bank)
        made = make({"query": query, "k": k}, needs, out, desk)
        found: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
        return found, made

    def slow(self, query: NDArray[Any], documents: NDArray[Any]) -> list[tuple[str, float]]:
        """Every document by its product with the question."""
        scores = [(id, round(float(score), 6)) for id, score in zip(self.ids, documents @ query[0], strict=True)]
        return sorted(scores, key=lambda hit: (-hit[1], hit[0]))


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _close(found: list[dict[str, Any]], expected: list[tuple[str, float]]) -> None:
    assert [hit["id"] for hit in found] == [id for id, _ in expected]
    assert [hit["score"] for hit in found] == pytest.approx([score for _, score in expected], abs=6e-5)


@pytest.mark.parametrize("dim", [64, 32])
@pytest.mark.parametrize("precision", ["float32", "int8", "binary"])
def test_what_serves_is_asked(tmp_path: Path, dim: int, precision: str) -> None:
    """The tuned list is that of the chosen dim and precision; the base is at its own best: every column, float32."""
    shop = Shop(tmp_path, dim, precision)
    found, _ = shop.ask()
    query, documents = shop.vectors(shop.tuned, TUNED)
    kept = _unit(documents[:, :dim]).astype(np.float32)
    served = quantize.served(kept, precision, shop.ranges).astype(float)
    _close(found["tuned"], shop.slow(_unit(query[:, :dim]), served)[:5])
    query, documents = shop.vectors(shop.base, BASE)
    _close(found["base"], shop.slow(_unit(query), _unit(documents))[:5])
    assert found["query"] == QUERY and list(found) == ["query", "tuned", "base"]


@pytest.mark.parametrize("fusion", [RRF, WEIGHTED])
@pytest.mark.parametrize("words", [PLAIN, STEMMED, {"tokenizer": "identifiers"}])
def test_the_chosen_fusion_is_asked(tmp_path: Path, fusion: Mapping[str, Any], words: Mapping[str, Any]) -> None:
    """Where words are fused in, the tuned list is fused, by the tokens that were gated; the base stays alone."""
    shop = Shop(tmp_path, fusion=fusion, words=words)
    found, _ = shop.ask()
    query, documents = shop.vectors(shop.tuned, TUNED)
    dense = shop.slow(_unit(query), _unit(documents))[:20]
    tokenize = tokenizer(words)
    lexical = BM25(shop.ids, [tokenize(text) for text in shop.texts]).search(tokenize(QUERY), 20)
    scores: dict[str, float] = {}
    for hits, share in ((dense, 0.7), (lexical, 0.3)):
        low, high = min(score for _, score in hits), max(score for _, score in hits)
        for rank, (id, score) in enumerate(hits, 1):
            part = 1 / (60 + rank) if fusion == RRF else share * ((score - low) / (high - low) if high > low else 1.0)
            scores[id] = scores.get(id, 0.0) + part
    _close(found["tuned"], sorted(scores.items(), key=lambda hit: (-round(hit[1], 9), hit[0]))[:5])


def test_an_index_tokenizes_as_it_was_made(tmp_path: Path) -> None:
    """Other forms of the words find the document where it was indexed by stems, and nothing where it was not."""
    for words, more in ((PLAIN, False), (STEMMED, True)):
        folder = tmp_path / str(more)
        folder.mkdir()
        shop = Shop(folder, fusion={"method": "weighted", "weight": 0.1}, words=words)
        found, _ = shop.ask("resetting valves")
        assert (found["tuned"][0]["id"] == "valve") is more


def test_each_hit_shows_its_document(tmp_path: Path) -> None:
    """Id, score, title and the beginning of the text, on one line and cut where it is long."""
    DOCUMENTS_LONG = " \n".join(["reset the valve"] * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DOCUMENTS, "long", ("Valves", DOCUMENTS_LONG))
        found, _ = Shop(tmp_path).ask()
    hits = {hit["id"]: hit for hit in found["tuned"]}
    assert list(hits["long"]) == ["id", "score", "title", "text"]
    assert hits["long"]["title"] == "Valves"
    assert re.fullmatch(r"reset the valve reset .*…", hits["long"]["text"])
    assert len(hits["long"]["text"]) <= SHOWN
    assert hits["valve"]["text"] == DOCUMENTS["valve"][1]
    scores = [hit["score"] for hit in found["tuned"]]
    assert scores == sorted(scores, reverse=True)


def test_as_many_as_asked_for(tmp_path: Path) -> None:
    """k documents in each list, more than the depth of the fusion if asked, and no more than there are."""
    shop = Shop(tmp_path, fusion=RRF)
    for k, many in ((1, 1), (25, 25), (500, len(DOCUMENTS))):
        found, _ = shop.ask(k=k)
        assert len(found["tuned"]) == len(found["base"]) == many


def test_vectors_come_from_the_bank(tmp_path: Path) -> None:
    """The index is not encoded again, the base's documents once: a second question encodes itself alone."""
    shop = Shop(tmp_path)
    assert shop.ask()[1].counts == {"encoded": len(DOCUMENTS) + 2, "rows": len(DOCUMENTS)}
    assert shop.ask("close the gate")[1].counts == {"encoded": 2, "rows": len(DOCUMENTS)}
    assert shop.ask("close the gate")[1].counts == {"encoded": 0, "rows": len(DOCUMENTS)}


def test_an_index_of_another_model_is_refused(tmp_path: Path) -> None:
    """Distances between vectors of two models mean nothing: the error names both and says what to do."""
    shop = Shop(tmp_path)
    with pytest.raises(EmbspecError) as raised:
        shop.ask(model="tree sha256:another")
    problem = raised.value.problems[0]
    assert problem.code == "guard.model"
    assert TUNED in problem.text and "tree sha256:another" in problem.text and "embspec build" in problem.fix
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_question_without_a_known_word(tmp_path: Path) -> None:
    """A question that the model has no word for gives documents in the order of ids, not an error."""
    found, _ = Shop(tmp_path).ask("")
    assert [hit["id"] for hit in found["tuned"]] == sorted(DOCUMENTS)[:5]
    assert {hit["score"] for hit in found["tuned"]} == {0.0}
