"""What is missing, and what `advise` and the report would want, in sentences."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from embspec.init.bases import MANY, Base, fetching
from embspec.init.documents import Survey
from embspec.init.draft import LEAST, WANTED, Draft
from embspec.measure.stats import ENOUGH_CLUSTERS, detectable
from embspec.stages.reading import count

DIFFER = 0.2  # share of the questions on which two models differ, as a rule


def wants(draft: Draft, survey: Survey, split: Mapping[str, Any], here: bool) -> Iterator[str]:
    """Everything that a person should know before trusting what comes out, the most urgent first."""
    if not here:
        how = fetching(draft.base)
        yield f"the model {draft.base.name} is not on this machine" + (f": `{how}` brings it" if how else "")
    if not draft.sources:
        yield ("pairs: questions, each with the document that answers it. Without any there is no model, no test and "
               f"no verdict. Write gold.jsonl ({LEAST.test} questions to test with and {LEAST.validation} to choose "
               'with, asked by people): {"query": "…", "positive": "DOCUMENT"}')
    else:
        yield from _gold(draft)
        yield from _questions(split) if split else ()
        if draft.leaking:
            yield f"split: {draft.leaking}"
    if survey.documents < WANTED.min_documents:
        yield (f"documents: {survey.documents} of {WANTED.min_documents}. A collection this small is often served as "
               "well by an untuned model with BM25 beside it; advice on the number differs widely")
    yield from _language(draft.base, survey)


def _gold(draft: Draft) -> Iterator[str]:
    """Questions of people to test with, where there are none."""
    if any(source.trust == "gold" and "test" in source.roles for source in draft.sources):
        return
    kinds = " and ".join(sorted({one.trust for one in draft.sources if "test" in one.roles})) or "no"
    weak = any(source.headings and "test" in source.roles for source in draft.sources)
    why = ": a heading stands in the very text that it asks for, so these figures flatter" if weak else ""
    yield (f"gold: the test is made of {kinds} pairs{why}. Have people ask {LEAST.test + LEAST.validation} questions "
           "and name the documents that answer them, as a source with `trust: gold`")


def _questions(split: Mapping[str, Any]) -> Iterator[str]:
    """What each part of the split lacks."""
    tests, clusters = split["test.queries"], split["test.clusters"]
    if tests < LEAST.test:
        reach = min(100.0, 100 * detectable(DIFFER, tests)) if tests else 100.0
        yield (f"test: {count(tests, 'question')} of {LEAST.test}. So few show only a change of {reach:.0f} points or "
               "more; a smaller one comes out as inconclusive")
    if tests and clusters < ENOUGH_CLUSTERS:
        yield (f"test: its questions are about {count(clusters, 'document')}, and an interval wants {ENOUGH_CLUSTERS}"
               + ("; with one there is no interval at all" if clusters < 2 else ""))
    if (have := split["validation.queries"]) < LEAST.validation:
        yield f"validation: {count(have, 'question')} of {LEAST.validation}; what ships is chosen on these"
    yield from _training(split)


def _training(split: Mapping[str, Any]) -> Iterator[str]:
    pairs = split.get("train.queries", 0)
    if pairs < WANTED.min_pairs:
        yield f"training: {count(pairs, 'question')}, and under {WANTED.min_pairs} tuning rarely pays"
    if held := split.get("held_out", 0):
        yield (f"training: {count(held, 'more question')} about documents of test or validation are held out, as they "
               "have to be")


def _language(base: Base, survey: Survey) -> Iterator[str]:
    if survey.language not in ("english", "none") and base.name != MANY.name:
        yield (f"the documents are {survey.language.capitalize()}, and the model is English: take one for that "
               f"language, such as {MANY.name}")
