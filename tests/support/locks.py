"""Locks of a toy street whose keys hold: documents, their snapshot, pairs, a model and its evaluation."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping

from embspec.decide.history import Declared
from embspec.lock.text import Lock, write
from embspec.plan.keys import ingredients, key
from embspec.plan.plan import Recipes
from embspec.plan.protocol import Follow, Stage, never
from embspec.plan.values import Block, digest_of

STREET = (
    Stage("corpus", 1, ("corpus.path",), ("manifest",), "", live=lambda params: tuple(params["corpus.path"])),
    Stage("snapshot", 1, (), ("manifest",), "", follow=Follow("corpus", ("train",), never)),
    Stage("pairs.{name}", 1, ("pairs.{name}.path",), ("pairs.jsonl",), "", keeps=True,
          live=lambda params: (params["pairs.path"],)),
    Stage("train", 2, ("train.rate",), ("model",), "", uses=("knn",),
          needs=lambda params, names: ("snapshot/manifest", "pairs.gold/pairs.jsonl")),
    Stage("evaluate", 1, ("eval.metrics",), ("scores",), "", needs=lambda params, names: ("train/model",)),
)
DECLARED = Declared(STREET, Recipes({"knn": 3}, {}), ("train/model",))
TREES = {"corpus": "sha256:" + "1" * 64 + " 2 files", "pairs.gold": "sha256:" + "2" * 64 + " 1 file"}
STAGES = {stage.name.replace("{name}", "gold"): stage for stage in STREET}


def digest(text: str) -> str:
    """An artefact's line of a lock."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()} {len(text)}"


def lock(
    value: float | None = 0.5, rate: str = "0.1", documents: str = "documents", live: str = "",
    pins: Mapping[str, str] | None = None, tokens: str = "", **changes: Block,
) -> Lock:
    """A lock that says this metric; the live documents may have moved from the snapshot's, and be cut by `tokens`."""
    trees = {**TREES, **(pins or {})}
    blocks: dict[str, Block] = {}
    documents += tokens
    cut = {"corpus.chunking.strategy": "structure", "corpus.chunking.tokens": tokens} if tokens else {}
    suites = {"eval.suites.domain.by": "text", "eval.suites.documents.by": "document"} if tokens else {}
    _add(blocks, "corpus", {"corpus.path": "docs/*.md more/*.md", **cut}, {"manifest": digest(live or documents)},
         trees)
    blocks["snapshot"] = Block(pin={"definition": "x", "manifest": digest(documents)})
    _add(blocks, "pairs.gold", {"pairs.gold.path": "gold.jsonl"}, {"pairs.jsonl": digest("pairs")}, trees)
    _add(blocks, "train", {"train.rate": rate}, {"model": digest(f"model {rate} {documents}")})
    stat = {} if value is None else {"tuned": f"recall@5 {value} mrr@10 0.5 n=9", "bm25": "recall@5 0.0 n=9"}
    if tokens and value is not None:
        stat["tuned on documents"] = f"recall@5 {value} n=9"
    _add(blocks, "evaluate", {"eval.metrics": "recall@5 mrr@10", **suites}, {"scores": digest(f"{value}")}, stat=stat)
    return Lock({name: changes.get(name.replace(".", "_"), block) for name, block in blocks.items()}, {})


def text(of: Lock) -> str:
    """As it lies in a file."""
    return write(of, list(STAGES))


def _add(
    blocks: dict[str, Block], name: str, params: dict[str, str], out: dict[str, str],
    trees: Mapping[str, str] | None = None, stat: Mapping[str, str] | None = None,
) -> None:
    stage, pin = STAGES[name], {"tree": trees[name]} if trees else {}
    uses = dict.fromkeys(stage.uses, "3")
    needs = {}
    for role in stage.needs(params, list(blocks)):
        made, artefact = role.rsplit("/", 1)
        needs[role] = digest_of((blocks[made].out or blocks[made].pin)[artefact])
    said = ingredients(name, str(stage.recipe), uses, params, pin, needs, {})
    blocks[name] = Block(str(stage.recipe), uses, params, pin, key(said), out, stat or {})
