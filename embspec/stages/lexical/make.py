"""Which tokenizer BM25 uses, and in which language: the spec's, or what the snapshot and the validation queries say."""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embspec.measure.metrics import gains, score
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.retrieval import languages
from embspec.retrieval.bags import Bags
from embspec.retrieval.bm25 import BM25
from embspec.retrieval.tokenize import CJK, SPELLS, TOKENIZERS, WORDS, Tokenizer, stems, tokenizer
from embspec.stages.counted import Counted
from embspec.stages.snapshot import Echoes, Lexical, classes, passages, rows

AUTO = "auto"
METRIC = "ndcg@10"
DEPTH = 10
DIGITS = 9  # of a mean: candidates that are equal on paper are equal here
PLAIN, CODES, BIGRAMS = "simple", "identifiers", "char_bigrams"
_CJK = re.compile(f"[{CJK}]")

Said = dict[str, Any]


class Trial(NamedTuple):
    """The validation queries over the documents, which lie there by their runs of letters."""

    path: Path
    desk: Desk
    queries: Sequence[Mapping[str, Any]]
    ids: list[str]
    echoes: Echoes
    plain: Bags
    asked: Mapping[str, Bags]  # by other tokens, as far as the queries ask for them
    same: Mapping[str, str]  # document -> the first of its exact duplicates


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `tokenizer.json`, and apart from it `tried.json`: scores that move must not move what reads the choice."""
    name, language = params["eval.bm25.tokenizer"], params["eval.bm25.language"]
    queries = list(rows(needs["split/validation.jsonl"])) if name == AUTO else []
    tried: dict[str, float] = {}
    if name == AUTO or (name == WORDS and language == AUTO):
        desk.tell(Progress("counting words"))
        trial = _trial(needs["snapshot/documents.jsonl"], queries, classes(params, needs) if queries else {}, desk)
        language = _language(trial.plain) if language == AUTO else language
        if name == AUTO:
            tried = _tried(trial, language, params, desk)
            # The first of equals: the table's order is from the plainest to the most particular.
            name = max(tried, key=lambda candidate: tried[candidate])
    chosen = _said(name, language, params)
    _write(out / "tokenizer.json", chosen)
    _write(out / "tried.json", {"metric": METRIC if tried else None, "queries": len(queries), "tried": tried})
    stat = {**chosen, **{f"{METRIC} {candidate}": round(value, 4) for candidate, value in tried.items()}}
    return Made(stat=stat, counts={"rows": len(queries)})


def _said(name: str, language: str, params: Params) -> Said:
    """What all obey who tokenize; a language that changes no token is not said, so that it moves nothing."""
    if name != WORDS:
        return {"tokenizer": name}
    return {"tokenizer": name, "language": language, "stem": params["eval.bm25.stem"] and language != languages.NONE}


def _trial(path: Path, queries: Sequence[Mapping[str, Any]], same: Mapping[str, str], desk: Desk) -> Trial:
    """Read the documents once, for all candidates but the one that few need."""
    texts = [query["query"] for query in queries]
    ids, echoes = list[str](), Echoes(texts)
    # In full, because the language, and what it makes of words, are known only after the last document.
    plain = Bags()
    asked = {CODES: _asked(CODES, texts)} if texts else {}
    _count(desk, passages(path, ids, echoes), {PLAIN: plain, **asked})
    return Trial(path, desk, queries, ids, echoes, plain, asked, same)


def _asked(name: str, texts: Sequence[str]) -> Bags:
    tokenize = Tokenizer(SPELLS[name])
    return Bags(None, {token for text in texts for token in tokenize(text)})


def _count(desk: Desk, texts: Iterable[str], bags: Mapping[str, Bags]) -> None:
    """Fill the bags of each tokenizer, in one reading."""
    for found in Counted(desk, list(bags)).heaps(texts):
        for name, heap in found.items():
            bags[name].add(heap)


def _language(plain: Bags) -> str:
    """By the runs that `words` would look at."""
    return languages.found({run: count for run, count in plain.counts().items() if len(run) > 1})


def _tried(trial: Trial, language: str, params: Params, desk: Desk) -> dict[str, float]:
    """What each candidate is worth: the mean over validation, 0 where there is no query."""
    tried = {}
    for number, name in enumerate(_candidates(trial)):
        desk.tell(Progress(f"tokenizer {name}", number, len(TOKENIZERS)))
        said = _said(name, language, params)
        tried[name] = _worth(said, _bags(trial, said), trial, params) if trial.queries else 0.0
    return tried


def _candidates(trial: Trial) -> list[str]:
    """Pairs of characters are tried only where there are scripts without blanks: elsewhere they are `simple` again."""
    scripts = any(_CJK.search(run) for run in trial.plain.numbers if not run.isascii())
    return [name for name in TOKENIZERS if name != BIGRAMS or scripts]


def _bags(trial: Trial, said: Said) -> Bags:
    name = said["tokenizer"]
    if name == WORDS:
        return trial.plain.regrouped(stems(said["language"], said["stem"]))
    if name == BIGRAMS:
        found = _asked(name, [query["query"] for query in trial.queries])
        _count(trial.desk, passages(trial.path, [], Echoes(())), {name: found})
        return found
    return trial.asked.get(name, trial.plain)


def _worth(said: Said, bags: Bags, trial: Trial, params: Params) -> float:
    bm25 = BM25(trial.ids, bags, k1=params["eval.bm25.k1"], b=params["eval.bm25.b"])
    words = Lexical(bm25, tokenizer(said), trial.echoes)
    total = 0.0
    for query in trial.queries:
        judged = {p["id"]: p["grade"] for p in query["positives"]}
        total += score(METRIC, *gains(words.rank(query["query"], judged, DEPTH), judged, trial.same))
    return round(total / len(trial.queries), DIGITS)


def _write(path: Path, found: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
