"""From a first draft to one that builds: what is asked, tried, and put right."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from embspec.errors import EmbspecError, Problem
from embspec.init import text
from embspec.init.documents import Left, Survey
from embspec.init.draft import LEAST, PARTS, WANTED, Draft, divided, of_trust, plenty, rank
from embspec.init.pairs import Source
from embspec.init.trial import SPLIT, Tried, number, tried
from embspec.init.wants import wants
from embspec.store.places import Places

FEW = 20  # questions that headings have to give before they are a source
BAD = 0.5  # share of a source's rows with a fault, from which on it is no source
TRIES = 4
TRUST = ("gold", "curated", "synthetic", "implicit")
WROTE = """
  gold: people asked, and people judged the answers; such questions test
  curated: people wrote them to train on
  synthetic: a model wrote them
  implicit: they were taken from clicks
"""


class Question(NamedTuple):
    """What cannot be seen, and the answer that `--yes` gives."""

    text: str
    choices: Sequence[str]  # none: any text
    default: str


Ask = Callable[[Question], str]


class Settled(NamedTuple):
    """The spec, the draft that it was written from, and what trying it found."""

    text: str
    draft: Draft
    tried: Tried
    here: bool  # the base
    problems: Sequence[Problem]


def settled(first: Draft, survey: Survey, at: Places, ask: Ask) -> Settled:
    """Try a draft, take out what is none, divide what is left, and say what is missing."""
    inputs = tried(text.spec(first, ""), at.spec, False)
    here = not first.sources or "base" in inputs.stats
    longest = inputs.stats.get("base", {}).get("max_seq_length") or first.tokens
    if not here or longest < first.tokens:  # nothing more was read: the base could not say how long a chunk is
        first = first._replace(tokens=min(longest, first.tokens))
        inputs = tried(text.spec(_bare(first, here), ""), at.spec, False)
    if not inputs.stats:
        raise EmbspecError(*inputs.problems)
    draft = _headed(_trusted(_counted(_plain(first, inputs), inputs, at), ask), ask)
    by, sources = divided(draft.sources)
    draft, found = _split(draft._replace(by=by, sources=sources), at, here)
    split = found.stats.get(SPLIT, {})
    have = {part: split.get(f"{part}.queries", 0) for part in ("test", "validation")} if split else {}
    least = {part: number for part, number in have.items() if number < getattr(LEAST, part)}
    draft = draft._replace(least=least)
    draft = draft._replace(wants=list(wants(draft, survey, split, here)))
    problems = [p for p in found.problems if here or not p.field.startswith("model.base")]
    return Settled(text.spec(draft, _title(at)), draft, found, here, problems)


def _bare(draft: Draft, here: bool) -> Draft:
    """What of a draft can be tried: without the base there are no tokens to count."""
    return draft if here else draft._replace(tokens=0)


def _title(at: Places) -> str:
    """A name for people: that of the project, where the spec's own says nothing."""
    return os.path.basename(at.folder) if at.name == "embspec" else at.name


def _plain(draft: Draft, found: Tried) -> Draft:
    """Metadata that are no plain values further down are left alone."""
    bad = any(problem.text.startswith("metadata ") for problem in found.problems)
    return draft._replace(corpus=draft.corpus._replace(metadata=())) if bad else draft


def _counted(draft: Draft, found: Tried, at: Places) -> Draft:
    """The sources with their questions; one that is faulty for the most part is none."""
    kept, left = [], list(draft.left)
    for source in draft.sources:
        stat = found.stats.get(f"pairs.{source.name}", {})
        wrong = [] if stat else _of(source, found, at)
        if stat and (not source.headings or stat["queries"] >= FEW):
            kept.append(source._replace(queries=stat["queries"]))
        elif wrong and not source.headings and number(wrong) <= BAD * source.rows:
            kept.append(source._replace(queries=source.rows - number(wrong)))
        elif not source.headings:
            why = f"{wrong[0].text}, and {number(wrong) - 1} more such" if len(wrong) > 1 else wrong[0].text
            left.append(Left(source.path, why.splitlines()[0]))
    return draft._replace(sources=kept, left=left)


def _of(source: Source, found: Tried, at: Places) -> list[Problem]:
    """The problems of a source: those that name it, or a place in its files."""
    folder = os.path.relpath(at.folder)
    own = os.path.normpath(os.path.join(folder, source.path))
    problems = [p for p in found.problems if p.field.startswith(f"pairs.{source.name}")
                or (p.where and (p.where.file == own or p.where.file.startswith(own + "/")))]
    return problems or [p for p in found.problems if p.code != "input.more"] or list(found.problems)


def _headed(draft: Draft, ask: Ask) -> Draft:
    """Headings as a source where nothing else trains; else they are offered, and a person may take them."""
    heads = next((source for source in draft.sources if source.headings), None)
    if heads is None:
        return draft
    others = [source for source in draft.sources if not source.headings]
    trains = sum(source.queries for source in others if "train" in of_trust(source))
    gold = [source for source in others if source.trust == "gold"]
    if not others or (not trains and not plenty(gold)):
        return draft
    few = trains < WANTED.min_pairs and not plenty(gold)
    asked = Question(f"{heads.queries} headings of the documents could be weak training pairs; take them?",
                     ("yes", "no"), "no")
    if few and ask(asked) == "yes":
        return draft
    heads = heads._replace(about=f"{heads.queries} {heads.about}; take the mark off to train on them too")
    return draft._replace(sources=others, offered=heads._replace(roles=("train",)))


def _trusted(draft: Draft, ask: Ask) -> Draft:
    """Every source with its trust: what its name says, else what a person does."""
    done: list[Source] = []
    gold = any(source.trust == "gold" and source.roles != ("validation",) for source in draft.sources)
    unknown = [source for source in draft.sources if not source.trust]
    for source in draft.sources:
        if not source.trust:
            best = "gold" if not gold and (source.format == "faq" or len(unknown) == 1) else "curated"
            asked = Question(f"who wrote the {source.queries} questions of {source.path}?{WROTE}", TRUST, best)
            source = source._replace(trust=best if source.format == "faq" else ask(asked))
        done.append(source)
    return draft._replace(sources=sorted(done, key=rank))


def _split(draft: Draft, at: Places, here: bool) -> tuple[Draft, Tried]:
    """Split as a build would; what keeps it from building is put right, a few times."""
    found = Tried({}, ())
    for _ in range(TRIES):
        bare = _bare(draft, here)._replace(least=dict.fromkeys(("test", "validation"), 0))
        found = tried(text.spec(bare, ""), at.spec, bool(draft.sources))
        better = _better(draft, found)
        if better is None:
            break
        draft = better
    return draft, found


def _better(draft: Draft, found: Tried) -> Draft | None:
    """A draft without what is wrong with this one's split; None where nothing is, or nothing helps."""
    leaks = [problem for problem in found.problems if problem.code == "input.leak"]
    if leaks and not draft.leaking:
        said = "; ".join(problem.text.splitlines()[0].rstrip(":") for problem in leaks)
        return draft._replace(leaking=f"The published split leaks: {said}. Figures are given for the leaking and the "
                              "disjoint part apart; only the second is honest. `by: document` divides all anew, "
                              "without leaks, and then nothing compares with published figures.")
    if any(problem.code == "input.too-few" for problem in found.problems):
        # All that trains hangs together with what is tested: then the best is divided, and if need be everything.
        best = min(map(rank, draft.sources))
        for most in (best, len(TRUST)):
            whole = [one._replace(roles=PARTS) if rank(one) <= most else one for one in draft.sources]
            if whole != list(draft.sources):
                return draft._replace(by="document", leaking="", sources=whole)
        return None
    split = found.stats.get(SPLIT)
    if split and not split["validation.queries"] and split["train.queries"] >= FEW and draft.by == "document":
        moved = [source._replace(roles=_without_validation(source)) for source in draft.sources]
        return None if moved == list(draft.sources) else draft._replace(sources=moved)
    return None


def _without_validation(source: Source) -> tuple[str, ...]:
    """Roles where all gold is about one document: it tests, and what trains validates."""
    if source.trust == "gold" and set(source.roles) == {"validation", "test"}:
        return ("test",)
    return ("train", "validation") if source.roles == ("train",) else source.roles
