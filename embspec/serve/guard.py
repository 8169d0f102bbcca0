"""What a service asks before it answers: is this index of this model, and does this endpoint serve that model?"""
from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from embspec.errors import fail
from embspec.serve.manifest import RETRIEVAL, Manifest, document, manifest, model_digest, short

GOLDEN = "golden.safetensors"
LEAST = 0.999  # of a cosine: half precision keeps it, another model, prompt or pooling does not

Encode = Callable[[list[str]], Sequence[Sequence[float]]]


class Served(NamedTuple):
    """An index that may be asked with vectors of the model it was opened with."""

    manifest: Manifest
    retrieval: Mapping[str, Any]  # all that scoring needs: what was gated is served


class Golden(NamedTuple):
    """Texts as they are put in, the document prompt in front, and the vectors the model gave for them."""

    texts: tuple[str, ...]
    vectors: tuple[tuple[float, ...], ...]


def guard(index: str | os.PathLike[str], model: str | os.PathLike[str]) -> Served:
    """Open an index for the model in a folder; refuse one that another model made, for its distances mean nothing."""
    folder = os.fspath(index)
    found, digest = manifest(folder), model_digest(os.fspath(model))
    if found.model != digest:
        raise fail("guard.model", f"{folder} was made by another model: it names {short(found.model)}, "
                   f"{os.fspath(model)} is {short(digest)}",
                   fix="serve model and index of one build: both lie under out/NAME after `embspec build`")
    return Served(found, document(folder, RETRIEVAL))


def golden(model: str | os.PathLike[str]) -> Golden:
    """The golden texts and vectors of a published model folder, or of the file itself."""
    path = os.fspath(model)
    path = os.path.join(path, GOLDEN) if os.path.isdir(path) else path
    from safetensors import SafetensorError, safe_open  # a service that asks for none does without arrays

    try:
        with safe_open(path, "numpy") as file:
            texts = json.loads(file.metadata()["texts"])
            return Golden(tuple(texts), tuple(tuple(row) for row in file.get_tensor("vectors").tolist()))
    except FileNotFoundError:
        raise fail("input.golden", f"{path} is not there", fix="run `embspec build`: it writes it") from None
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise fail("input.golden", f"{path} does not hold golden vectors: {error}",
                   fix="run `embspec build`: it is written anew") from error


def check_endpoint(encode: Encode, expected: Golden, least: float = LEAST) -> float:
    """Send the golden texts as they are, and refuse an endpoint whose vectors point elsewhere; the lowest cosine."""
    vectors = encode(list(expected.texts))
    if len(vectors) != len(expected.texts):
        raise fail("guard.endpoint", f"the endpoint gave {len(vectors)} vectors for {len(expected.texts)} texts",
                   fix="it must give one vector for each text, in their order")
    worst = 1.0
    for text, want, have in zip(expected.texts, expected.vectors, vectors, strict=True):
        if len(want) != len(have):
            raise fail("guard.endpoint", f"the endpoint gives {len(have)} dimensions, the model has {len(want)}",
                       fix="serve the model folder of this build")
        cosine = _cosine(want, have)
        if not cosine >= least:
            raise fail("guard.endpoint", f"the endpoint's vector of {text[:60]!r} has cosine {cosine:.4f} to the "
                       f"model's, at least {least} is needed",
                       fix="serve the model folder of this build; the endpoint must put no prompt in front by itself")
        worst = min(worst, cosine)
    return worst


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    size = math.sqrt(math.fsum(x * x for x in a) * math.fsum(float(y) * float(y) for y in b))
    if size == 0.0:
        return 1.0 if not any(a) and not any(b) else 0.0  # a text without a known word is all zeros, in both
    return math.fsum(x * float(y) for x, y in zip(a, b, strict=True)) / size
