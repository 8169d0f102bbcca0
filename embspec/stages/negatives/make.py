"""The work of `negatives`: rank, find relatives, guard, choose, write."""
from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import fail
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.encoder import Encoder, opened
from embspec.stages.negatives import ledger, questions
from embspec.stages.negatives.guard import Kin, Rules, Shield
from embspec.stages.negatives.ledger import Entry, Order, Tally
from embspec.stages.negatives.library import Library
from embspec.stages.negatives.miners import MINERS, WORDS, Bench, Block, Miner, Space, Vectors, shuffle
from embspec.stages.negatives.questions import Known, Question
from embspec.stages.reading import line
from embspec.stages.snapshot import chosen_tokenizer, lexical

BLOCK = 2048  # queries ranked at a time
FILL = "fill_random"
HELD_OUT = ("test", "validation")


class Wish(NamedTuple):
    """What the spec asks for; the last miner fills what the others left."""

    miners: tuple[Miner, ...]
    rules: Rules
    near: float
    shortage: str
    seed: int

    @property
    def wanted(self) -> int:
        """How many negatives a row should have."""
        return sum(miner.number for miner in self.miners)

    @property
    def looking(self) -> tuple[Miner, ...]:
        """The miners, and the one that fills up where the spec wants that."""
        fill = (Miner(FILL, "random", self.wanted),) if self.shortage == FILL and self.miners else ()
        return (*self.miners, *fill)


class Mined(NamedTuple):
    """The training queries with their vectors, and the candidates of each by miner, as positions."""

    asked: Sequence[Question]
    queries: Vectors
    space: Space
    found: Mapping[str, Sequence[array[int]]]


Chosen = tuple[Question, float | None, list[Entry]]
"""A query, the score of its weakest positive, and what became of each candidate."""


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `examples.jsonl` (what training reads) and `ledger.jsonl` (why each document became a negative, or not)."""
    wish = _wish(params, desk.seed)
    asked = questions.read(needs["split/train.jsonl"])
    known = questions.known(asked, [needs[f"split/{part}.jsonl"] for part in HELD_OUT])
    tally = Tally(wish.rules)
    with needs["snapshot/documents.jsonl"].open("rb") as file:
        library = Library(file, set(known.every))
        chosen: Iterable[Chosen] = ((question, None, []) for question in asked)
        encoded = 0
        if wish.miners and asked:
            encoder = opened(needs["base/base"], desk.digests["base/base"], desk)
            mined = _mine(params, needs, wish, asked, library, encoder, desk)
            encoded = encoder.encoded
            chosen = _chosen(wish, mined, library, _kin(wish, mined, library, known, desk))
        _write(out, desk, wish, chosen, library, tally)
    if tally.easy > ledger.TOO_EASY:
        share = f"{tally.easy:.0%} of {tally.rows} rows"
        desk.tell(Progress(f"negatives are too easy: the base ranks the positives over all others in {share}"))
    stat = {
        "rows": tally.rows,
        "negatives": tally.negatives,
        "refused": sum(tally.refused.values()),
        "easy": round(tally.easy, 2),
    }
    return Made(stat=stat, counts={"encoded": encoded, "rows": tally.rows})


def _wish(params: Params, seed: int) -> Wish:
    guard = "negatives.guard."
    _as_built(params, "negatives.rounds", 1)
    _as_built(params, guard + "cross_encoder", None)
    rules = Rules(
        params[guard + "relative_margin"],
        params[guard + "absolute_margin"],
        params[guard + "max_score"],
        frozenset(params[guard + "exclude"]),
    )
    near = params["split.near_duplicate_threshold"]
    return Wish(_miners(params), rules, near, params["negatives.on_shortage"], seed)


def _miners(params: Params) -> tuple[Miner, ...]:
    top = "negatives.miners"
    if top in params and not params[top]:
        return ()
    numbers = sorted({int(path.split(".")[2]) for path in params if path.startswith(f"{top}.")})
    kinds = {number: params[f"{top}.{number}.kind"] for number in numbers}
    made: list[Miner] = []
    for number, kind in kinds.items():
        at = f"{top}.{number}."
        if kind not in MINERS:
            raise fail("spec.not-built", f"a miner of kind `{kind}` is not built yet by this version of embspec",
                       fix=f"it builds {', '.join(MINERS)}", field=at + "kind")
        if kind == "dense":
            _as_built(params, at + "model", "base")
        name = kind if list(kinds.values()).count(kind) == 1 else f"{kind} {number}"
        count = params[at + "num_negatives"]
        if kind == "random":
            made.append(Miner(name, kind, count))
        else:
            low, high = params[at + "window.range_min"], params[at + "window.range_max"]
            made.append(Miner(name, kind, count, low, high, params[at + "sampling_strategy"]))
    return tuple(made)


def _as_built(params: Params, field: str, built: Any) -> None:
    """The street refuses these before a build; here they are never ignored."""
    if params[field] != built:
        raise fail("spec.not-built", f"`{params[field]}` is not built yet by this version of embspec",
                   fix=f"it builds {json.dumps(built)}", field=field)


def _mine(
    params: Params, needs: Mapping[str, Any], wish: Wish, asked: Sequence[Question], library: Library,
    encoder: Encoder, desk: Desk,
) -> Mined:
    """Encode, then rank the queries in blocks, so that only positions stay in memory."""
    desk.tell(Progress(f"encoding {len(asked)} queries and {len(library)} documents"))
    queries = encoder.queries([question.query for question in asked])
    space = Space(encoder.documents(library.passages()), encoder.similarity == "cosine")
    queries = space.unit(queries)
    words = None
    if any(miner.kind in WORDS for miner in wish.miners):
        words = lexical(needs["snapshot/documents.jsonl"], chosen_tokenizer(needs), params, ())
    bench = Bench(library, space, words and words.bm25, words and words.tokenize, wish.seed)
    found: dict[str, list[array[int]]] = {miner.name: [] for miner in wish.looking}
    for start in range(0, len(asked), BLOCK):
        desk.tell(Progress("mining", start, len(asked)))
        block = Block(bench, asked[start : start + BLOCK], queries[start : start + BLOCK], wish.looking)
        for miner in wish.looking:
            found[miner.name] += MINERS[miner.kind](block, miner)
    return Mined(asked, queries, space, found)


def _kin(wish: Wish, mined: Mined, library: Library, known: Known, desk: Desk) -> Kin:
    """The relatives of all answers among all that may become a negative."""
    desk.tell(Progress("near-duplicates among candidates and answers"))
    kin = Kin(library, known, wish.rules)
    kin.compare({at for each in mined.found.values() for some in each for at in some}, wish.near)
    return kin


def _chosen(wish: Wish, mined: Mined, library: Library, kin: Kin) -> Iterator[Chosen]:
    """For each query the weakest positive's score and what became of each candidate."""
    tests = kin.tests()
    for n, (question, query) in enumerate(zip(mined.asked, mined.queries, strict=True)):
        weakest = min(mined.space.scores(query, sorted(kin.right(question))))
        found = {name: each[n] for name, each in mined.found.items()}
        seen = sorted({at for some in found.values() for at in some})
        score = dict(zip(seen, mined.space.scores(query, seen), strict=True))
        judge = partial(_judge, kin.shield(question), tests, wish.rules, library, score, weakest)
        yield question, weakest, _entries(wish, question, found, judge, library)


def _judge(
    shield: Shield, tests: frozenset[int], rules: Rules, library: Library, score: Mapping[int, float], weakest: float,
    at: int,
) -> tuple[float, str | None]:
    """What a document is comes before what it scores."""
    return score[at], shield.refuses(at, library.owner(at), tests) or rules.refuses(score[at], weakest)


def _entries(
    wish: Wish, question: Question, found: Mapping[str, array[int]], judge: ledger.Judge, library: Library
) -> list[Entry]:
    salt = f"{wish.seed}\0sample\0{question.id}"
    order = Order(lambda at: shuffle(salt, library.ids[at]), library.digest)
    taken: dict[int, int] = {}
    entries = ledger.take([(miner, found[miner.name]) for miner in wish.miners], judge, order, taken)
    if wish.shortage == FILL:
        last = Miner(FILL, "random", wish.wanted - len(taken))
        entries += ledger.take([(last, found[FILL])], judge, order, taken)
    return entries


def _write(out: Path, desk: Desk, wish: Wish, chosen: Iterable[Chosen], library: Library, tally: Tally) -> None:
    """Both artefacts in the order of ids; the ledger's first line is known only after its last."""
    with open(out / "examples.jsonl", "wb") as examples, open(desk.scratch / "ledger", "w+b") as rest:
        for question, weakest, entries in chosen:
            kept = [entry.at for entry in entries if entry.guard is None]
            drop = wish.shortage == "drop" and len(kept) < wish.wanted
            tally.add(entries, 0.0 if weakest is None else weakest, wish.wanted, drop)
            if not drop:
                examples.write(line(_example(question, kept, library)))
            rest.write(line(ledger.line(question.id, weakest, entries, library.ids)))
        rest.seek(0)
        with open(out / "ledger.jsonl", "wb") as whole:
            whole.write(line({"summary": tally.summary()}))
            shutil.copyfileobj(rest, whole)


def _example(question: Question, kept: Iterable[int], library: Library) -> dict[str, Any]:
    """What training reads of a query: texts as the model reads them, without prompts."""
    positives = [{"id": id, "text": library.passage(library.at[id])} for id in question.positives]
    negatives = [{"id": library.ids[at], "text": library.passage(at)} for at in kept]
    return {"id": question.id, "query": question.query, "positives": positives, "negatives": negatives,
            **question.carried}
