"""From pairs of query and passage to scores by a cross-encoder's folder; what was scored before is looked up."""
from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128_digest

from embspec.errors import fail
from embspec.plan.protocol import Desk, Progress
from embspec.retrieval.encode import Numbers, Padding, encode
from embspec.stages.engines import ROWS, quiet, read, refused

Vectors = NDArray[np.float32]
Pair = tuple[str, str]
Run = Callable[[Sequence[Pair]], Vectors]

RECIPE = 1  # raised when the same folder and pair would give another score
DIGITS = 6
BLOCK = 2048  # pairs in memory at once
KIND = 32  # bits to the left of which a token's number carries which of the two texts it is of
# What makes a score of a model's output, by the names that sentence-transformers writes.
ACTIVATIONS: Mapping[str, Callable[[float], float]] = {
    "torch.nn.modules.activation.Sigmoid": lambda given: _sigmoid(given),
    "torch.nn.modules.linear.Identity": lambda given: given,
}
DEFAULT_ACTIVATION = "torch.nn.modules.activation.Sigmoid"


def activation_of(config: Mapping[str, Any]) -> str | None:
    """The activation that a config names, in new words or in old."""
    own = config.get("sentence_transformers")
    said = own.get("activation_fn") if isinstance(own, dict) else None
    return said or config.get("sbert_ce_default_activation_function")


class Reranker:
    """A cross-encoder; pairs in the bank are not scored, and equal pairs once. Its weights are read when needed."""

    def __init__(self, folder: Path, digest: str, desk: Desk) -> None:
        self.scored = 0  # pairs that went through the model
        self._folder, self._model, self._desk = folder, digest, desk
        name = activation_of(read(folder / "config.json")) or DEFAULT_ACTIVATION
        if name not in ACTIVATIONS:
            raise refused(folder / "config.json", f"scores through {name} cannot be had here", "use another model")
        self._activation = ACTIVATIONS[name]
        self._run: Run | None = None

    def scores(self, pairs: Sequence[Pair]) -> list[float]:
        """One score a pair, in the order given; it hangs on model and pair alone."""
        # The desk adds the versions and the kind of machine that bits hang on.
        rows = self._desk.rows({"cross_encoder": self._model, "rerank": str(RECIPE)})
        found: list[float] = []
        for start in range(0, len(pairs), BLOCK):
            block = [(_whole(query), _whole(passage)) for query, passage in pairs[start : start + BLOCK]]
            names = [_name(pair) for pair in block]
            known = dict(zip(names, rows.find(names), strict=True))
            missing = {name: pair for name, pair in zip(names, block, strict=True) if len(known[name] or b"") != 4}
            if missing:
                made = self._scored(list(missing.values()))
                rows.add(list(missing), made)
                known.update(zip(missing, made, strict=True))
            outputs = np.frombuffer(b"".join(known[name] or b"" for name in names), np.float32)
            found += [round(self._activation(float(output)), DIGITS) + 0.0 for output in outputs]
            self._desk.tell(Progress("pairs scored", start + len(block), len(pairs)))
        return found

    def _scored(self, pairs: Sequence[Pair]) -> list[bytes]:
        self._run = self._run or _opened(self._folder)
        outputs = self._run(pairs)
        self.scored += len(pairs)
        if not np.isfinite(outputs).all():
            query, passage = pairs[int(np.flatnonzero(~np.isfinite(outputs))[0])]
            raise fail("stage.not-a-number", f"the cross-encoder gives no number for {query[:60]!r} and "
                       f"{passage[:60]!r}", fix="look at the weights of the cross-encoder")
        return [output.tobytes() for output in outputs]


def _name(pair: Pair) -> bytes:
    query, passage = (text.encode() for text in pair)
    return xxh3_128_digest(len(query).to_bytes(8, "little") + query + passage)


def _whole(text: str) -> str:
    """A text out of JSON may hold half a surrogate pair, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()


def _sigmoid(given: float) -> float:
    """On the side where nothing overflows."""
    return 1 / (1 + math.exp(-given)) if given >= 0 else math.exp(given) / (1 + math.exp(given))


def _opened(folder: Path) -> Run:
    import torch
    from transformers import AutoTokenizer

    model = _model(folder)
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    words = tokenizer.backend_tokenizer
    words.no_padding()
    # From the longer of the two, which is the passage unless a question takes half the room.
    words.enable_truncation(tokenizer.model_max_length, strategy="longest_first", direction=tokenizer.truncation_side)
    kinds = "token_type_ids" in tokenizer.model_input_names
    positions = model.config.to_dict().get("max_position_embeddings") or -1
    padding = Padding(tokenizer.pad_token_id or 0, positions if positions > 0 else None)

    def forward(packed: Numbers, mask: Numbers) -> Vectors:
        ids, types = packed & ((1 << KIND) - 1), packed >> KIND
        with torch.inference_mode():
            asked = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
            if kinds:
                asked["token_type_ids"] = torch.from_numpy(types)
            return np.asarray(model(**asked).logits.numpy(), np.float32)

    def run(pairs: Sequence[Pair]) -> Vectors:
        found = words.encode_batch(list(pairs))
        packed = [[id | kind << KIND for id, kind in zip(one.ids, one.type_ids, strict=True)] for one in found]
        return encode(packed, forward, 1, padding)[:, 0]

    return run


def _model(folder: Path) -> Any:
    """The model whole: one whose head has no weights would score at random."""
    import torch
    from transformers import AutoModelForSequenceClassification

    with quiet():
        model, info = AutoModelForSequenceClassification.from_pretrained(str(folder), output_loading_info=True)
    if lost := sorted(info["missing_keys"]):
        raise refused(folder / "model.safetensors", f"the cross-encoder has no weights for {', '.join(lost[:3])}",
                      "name a model that was trained to score pairs")
    for part in model.modules():
        if isinstance(part, torch.nn.Linear):
            setattr(part, "forward", partial(_even, part.forward))  # noqa: B010, mypy takes no other spelling
    return model.float().eval()


def _even(forward: Callable[[Any], Any], states: Any) -> Any:
    """What comes behind the pooling has a row for each text: always the same number of them, as torch may take a path
    of other bits where there are fewer."""
    import torch

    if states.dim() != 2:
        return forward(states)
    parts = []
    for start in range(0, len(states), ROWS):
        rows = states[start : start + ROWS]
        block = torch.zeros(ROWS, states.shape[1])
        block[: len(rows)] = rows
        parts.append(forward(block)[: len(rows)])
    return torch.cat(parts)
