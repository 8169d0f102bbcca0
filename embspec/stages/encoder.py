"""From texts to vectors by the model in a portable folder; what was encoded before is looked up."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128_digest

from embspec.errors import fail
from embspec.plan.protocol import Desk, Progress
from embspec.stages.engines import Engine, engine, read, refused

Vectors = NDArray[np.float32]

RECIPE = 1  # raised when the same folder and text would give other bits
BLOCK = 2048  # texts in memory at once


class Encoder:
    """A model with its prompts; texts in the bank are not encoded, and equal texts once."""

    def __init__(self, engine: Engine, prompts: Mapping[str, str], similarity: str, model: str, desk: Desk) -> None:
        self.dim = engine.dim
        self.max_seq_length = engine.max_seq_length
        self.similarity = similarity
        self.prompts = prompts
        self.encoded = 0
        self._engine, self._model, self._desk = engine, model, desk

    def queries(self, texts: Sequence[str]) -> Vectors:
        """One vector a query, as the modules of the folder give it."""
        return self._all(texts, self.prompts["query"])

    def documents(self, texts: Iterable[str]) -> Vectors:
        """One vector a document; more than a block of them lie in a file on the desk, mapped and not writable."""
        return self._all(texts, self.prompts["document"])

    def blocks(self, texts: Iterable[str]) -> Iterator[Vectors]:
        """The same in blocks, for vectors that go straight into a file."""
        return self._blocks(texts, self.prompts["document"])

    def release(self) -> None:
        """Let go of the weights, where much else is still to be done; a text that is not known has them read again."""
        self._engine.release()

    def _all(self, texts: Iterable[str], prompt: str) -> Vectors:
        blocks = self._blocks(texts, prompt)
        first = next(blocks, np.zeros((0, self.dim), np.float32))
        if len(first) < BLOCK:
            return first
        number = 0
        while (path := self._desk.scratch / f"vectors-{number}").exists():  # an earlier one may be mapped still
            number += 1
        with open(path, "xb") as file:
            file.write(first.tobytes())
            for block in blocks:
                file.write(block.tobytes())
        return np.memmap(path, np.float32, "r").reshape(-1, self.dim)

    def _blocks(self, texts: Iterable[str], prompt: str) -> Iterator[Vectors]:
        # The desk adds the versions and the kind of machine that bits hang on.
        rows = self._desk.rows({"model": self._model, "prompt": prompt, "max_length": str(self.max_seq_length),
                                "encode": str(RECIPE)})
        left, done = iter(texts), 0
        while block := list(islice(left, BLOCK)):
            # A title or text out of JSON may hold half a surrogate pair, which no tokenizer takes.
            block = [text.encode("utf-8", "replace").decode() for text in block]
            names = [xxh3_128_digest(text.encode()) for text in block]
            found = dict(zip(names, rows.find(names), strict=True))
            missing = {name: text for name, text in zip(names, block, strict=True)
                       if len(found[name] or b"") != 4 * self.dim}
            if missing:
                made = self._encoded([prompt + text for text in missing.values()])
                rows.add(list(missing), made)
                found.update(zip(missing, made, strict=True))
            done += len(block)
            self._desk.tell(Progress("texts encoded", done))
            yield np.frombuffer(b"".join(found[name] or b"" for name in names), np.float32).reshape(-1, self.dim)

    def _encoded(self, texts: Sequence[str]) -> list[bytes]:
        vectors = self._engine.encode(texts)
        self.encoded += len(texts)
        if not np.isfinite(vectors).all():
            at = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
            raise fail("stage.not-a-number", f"the model gives no numbers for the text {texts[at][:80]!r}",
                       fix="look at the weights of the base; of a tuned model, lower `train.learning_rate`")
        return [vector.tobytes() for vector in vectors]


def opened(folder: Path, digest: str, desk: Desk) -> Encoder:
    """The encoder of a portable folder with this digest; its weights are read when a text is not in the bank."""
    path = folder / "config_sentence_transformers.json"
    settings: Mapping[str, Any] = read(path)
    similarity = settings.get("similarity_fn_name") or "cosine"
    if similarity not in ("cosine", "dot"):
        raise refused(path, f"vectors cannot be compared by {similarity} here", "use cosine or dot")
    said = settings.get("prompts") or {}
    prompts = {name: said.get(name) or "" for name in ("query", "document")}
    return Encoder(engine(folder), prompts, similarity, digest, desk)
