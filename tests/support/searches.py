"""Everything that searches, once, as one digest each: what two processes compare."""
from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import torch

from embspec.retrieval import fusion, knn
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.encode import encode
from embspec.retrieval.propose import Place
from tests.support.threads import threads

WORDS = ("pump", "valve", "motor", "belt", "wheel", "gate", "lamp", "bell")


def digests(numbers: Sequence[int]) -> dict[str, dict[str, str]]:
    """By method, and by how many threads the search and torch have."""
    found: dict[str, dict[str, str]] = {}
    for number in numbers:
        with threads(number):
            for method, made in _made(number).items():
                found.setdefault(method, {})[str(number)] = sha256(made).hexdigest()
    return found


def _made(number: int) -> dict[str, bytes]:
    draw = np.random.default_rng(3)
    ids = [f"d{n * 7919 % 100_003:06d}" for n in range(2000)]
    vectors = draw.standard_normal((2000, 96)).astype(np.float32)
    vectors[::7] = vectors[3]
    documents, queries = knn.unit(vectors), knn.unit(draw.standard_normal((60, 96)).astype(np.float32))
    dense = knn.top(queries, documents, ids, 20, place=Place(threads=number))
    words = random.Random(3)
    texts = [words.choices(WORDS, k=words.randrange(1, 12)) for _ in ids]
    bm25 = BM25(ids, texts)
    lexical = [bm25.search(words.choices(WORDS, k=3), 20) for _ in queries]
    fused = [fusion.fused(method, one, other, 20) for one, other in zip(dense, lexical, strict=True)
             for method in ({"method": "rrf", "k": 60}, {"method": "weighted", "weight": 0.3})]
    table = torch.from_numpy(draw.standard_normal((50, 96)).astype(np.float32))
    layer = torch.from_numpy(draw.standard_normal((96, 96)).astype(np.float32))

    def forward(numbers: Any, mask: Any) -> Any:
        hidden = torch.tanh(table[torch.from_numpy(numbers)].reshape(-1, 96) @ layer).reshape(*numbers.shape, 96)
        return (hidden * torch.from_numpy(mask)[:, :, None]).sum(dim=1).numpy()

    tokens = [[words.randrange(50) for _ in range(words.randrange(1, 70))] for _ in range(80)]
    lists = {"knn": dense, "bm25": lexical, "fusion": fused}
    return {**{name: json.dumps(made).encode() for name, made in lists.items()},
            "encode": encode(tokens, forward, 96).tobytes(), "unit": documents.tobytes()}


if __name__ == "__main__":
    print(json.dumps(digests([int(number) for number in sys.argv[1:]])))
