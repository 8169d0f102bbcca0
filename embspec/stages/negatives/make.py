"""The work of `negatives`: rank, find relatives, guard, choose, write."""
from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from embspec.errors import fail
from embspec.plan.protocol import Desk, Made, Params, Progress
from embspec.stages.encoder import Encoder, opened
from embspec.stages.negatives import ledger, questions
from embspec.stages.negatives.guard import Kin, Rules, Shield
from embspec.stages.negatives.ledger import Account, Entry, Look, Order, Tally
from embspec.stages.negatives.library import Library
from embspec.stages.negatives.miners import MINERS, WORDS, Bench, Block, Miner, Scored, Space, Vectors, shuffle
from embspec.stages.negatives.questions import Known, Question
from embspec.stages.negatives.second import Case, decided
from embspec.stages.reading import canonical, line
from embspec.stages.reranker import Reranker
from embspec.stages.searching import searching
from embspec.stages.snapshot import chosen_tokenizer, lexical, rows

BLOCK = 2048  # queries ranked at a time
FILL = "fill_random"
HELD_OUT = ("test", "validation")
WAVE = 256  # queries whose pairs go through the cross-encoder together
GIVEN, JUDGE = "candidates/given.jsonl", "cross_encoder/cross_encoder"
BASE, TUNED = "base/base", "train/model"  # a later round is handed what the one before it trained


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


Chosen = tuple[Question, Account]
"""A query, and what became of each candidate."""


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `examples.jsonl` (what training reads) and `ledger.jsonl` (why each document became a negative, or not)."""
    wish = _wish(params, desk.seed)
    asked = questions.read(needs["split/train.jsonl"])
    sources = [needs[role] for role in needs if role.startswith("pairs.")]
    known = questions.known(asked, [needs[f"split/{part}.jsonl"] for part in HELD_OUT], sources, wish.near)
    tally = Tally(wish.rules)
    with needs["snapshot/documents.jsonl"].open("rb") as file:
        library = Library(file, set(known.every))
        judged = params["negatives.guard.cross_encoder"] is not None
        reranker = Reranker(needs[JUDGE], desk.digests[JUDGE], desk) if judged else None
        cases: Iterable[Case] = (Case(question, {}, lambda last: ([], [])) for question in asked)
        encoded = 0
        if wish.miners and asked:
            model = TUNED if TUNED in needs else BASE
            encoder = opened(needs[model], desk.digests[model], desk)
            mined = _mine(params, needs, wish, asked, known, library, encoder, desk)
            encoded = encoder.encoded
            cases = _cases(wish, mined, library, _kin(wish, mined, library, known, desk))
        chosen = decided(cases, reranker, library, wish.rules, WAVE)
        _write(out, desk, wish, chosen, library, tally)
    if tally.easy > ledger.TOO_EASY:
        share = f"{tally.easy:.0%} of {tally.rows} rows"
        desk.tell(Progress(f"negatives are too easy: the model ranks the positives over all others in {share}"))
    stat = {
        "rows": tally.rows,
        "negatives": tally.negatives,
        "refused": sum(tally.refused.values()),
        "easy": round(tally.easy, 2),
    }
    scored = {"scored": reranker.scored} if reranker else {}
    return Made(stat=stat, counts={"encoded": encoded, "rows": tally.rows, **scored})


def _wish(params: Params, seed: int) -> Wish:
    guard = "negatives.guard."
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
        elif kind == "file":
            made.append(Miner(name, kind, count, sampling=params[at + "sampling_strategy"], path=params[at + "path"]))
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
    params: Params, needs: Mapping[str, Any], wish: Wish, asked: Sequence[Question], known: Known, library: Library,
    encoder: Encoder, desk: Desk,
) -> Mined:
    """Encode, then rank the queries in blocks, so that only positions stay in memory."""
    desk.tell(Progress(f"encoding {len(asked)} queries and {len(library)} documents"))
    queries = encoder.queries([question.query for question in asked])
    space = Space(encoder.documents(library.passages()), encoder.similarity == "cosine", searching(params))
    encoder.release()
    queries = space.unit(queries)
    words = None
    if any(miner.kind in WORDS for miner in wish.miners):
        words = lexical(needs["snapshot/documents.jsonl"], chosen_tokenizer(needs), params, (), desk)
    given = _given(needs, library, known)
    bench = Bench(library, space, words and words.bm25, words and words.tokenize, wish.seed, given)
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


def _given(needs: Mapping[str, Any], library: Library, known: Known) -> dict[str, dict[str, Sequence[int]]]:
    """What the files of negatives say of the training queries."""
    found: dict[str, dict[str, Sequence[int]]] = {}
    for row in rows(needs[GIVEN]) if GIVEN in needs else ():
        if row["query"] in known.train:
            found.setdefault(row["file"], {})[row["query"]] = [library.at[id] for id in row["negatives"]]
    return found


def _cases(wish: Wish, mined: Mined, library: Library, kin: Kin) -> Iterator[Case]:
    """Each query with the scores of its answers and the way in which its candidates are judged."""
    tests = kin.tests()
    for n, (question, query) in enumerate(zip(mined.asked, mined.queries, strict=True)):
        right = sorted(kin.right(question), key=library.ids.__getitem__)
        found = {name: each[n] for name, each in mined.found.items()}
        score = Scored(mined.space, query, chain(right, *found.values()))
        answers = {at: score[at] for at in right}
        judge = partial(_judge, kin.shield(question), tests, wish.rules, library, score, min(answers.values()))
        yield Case(question, answers, partial(_entries, wish, question, found, judge, library))


def _judge(
    shield: Shield, tests: frozenset[int], rules: Rules, library: Library, score: Mapping[int, float], weakest: float,
    at: int,
) -> tuple[float, str | None]:
    """What a document is comes before what it scores."""
    return score[at], shield.refuses(at, library.owner(at), tests) or rules.refuses(score[at], weakest)


def _entries(
    wish: Wish, question: Question, found: Mapping[str, array[int]], judge: ledger.Judge, library: Library,
    last: ledger.Last,
) -> tuple[list[Entry], list[Look]]:
    salt = f"{wish.seed}\0sample\0{question.id}"
    order = Order(lambda at: shuffle(salt, library.ids[at]), library.digest)
    taken: dict[int, int] = {}
    entries, looks = ledger.take([(miner, found[miner.name]) for miner in wish.miners], judge, order, taken, last)
    if wish.shortage == FILL and len(taken) < wish.wanted:
        filler = Miner(FILL, "random", wish.wanted - len(taken))
        more, look = ledger.take([(filler, found[FILL])], judge, order, taken, last)
        entries, looks = entries + more, looks + look
    return entries, looks


def _write(out: Path, desk: Desk, wish: Wish, chosen: Iterable[Chosen], library: Library, tally: Tally) -> None:
    """Both artefacts in the order of ids; the ledger's first line is known only after its last."""
    with open(out / "examples.jsonl", "wb") as examples, open(desk.scratch / "ledger", "w+b") as rest:
        for question, account in chosen:
            drop = wish.shortage == "drop" and len(account.kept) < wish.wanted
            tally.add(question.id, account, wish.wanted, drop)
            if not drop:
                examples.write(_example(question, account, library))
            rest.write(line(ledger.line(question.id, account, drop, library.ids)))
        rest.seek(0)
        with open(out / "ledger.jsonl", "wb") as whole:
            whole.write(line({"summary": tally.summary()}))
            shutil.copyfileobj(rest, whole)


def _example(question: Question, account: Account, library: Library) -> bytes:
    """What training reads of a query: texts as the model reads them, without prompts.

    It is a line as any other, put together from parts: documents are the negatives of many queries.
    """
    second = account.second or {}
    positives = [_text(library.at[id], second.get(library.at[id]), library) for id in question.positives]
    negatives = [_text(entry.at, entry.second, library) for entry in account.kept]
    head, tail = canonical({"id": question.id, "query": question.query})[:-1], canonical(question.carried)[1:]
    told = f'{head},"positives":[{",".join(positives)}],"negatives":[{",".join(negatives)}]'
    return f"{told}{',' if question.carried else ''}{tail}\n".encode()


def _text(at: int, score: float | None, library: Library) -> str:
    """A document of an example; its score is the cross-encoder's, where there is one."""
    return library.shown(at) + ("}" if score is None else f',"score":{canonical(score)}}}')
