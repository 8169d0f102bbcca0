"""What the figures of a lock are about: texts as its documents are cut, or whole documents, however they are."""
from __future__ import annotations

from embspec.lock.text import Lock
from embspec.measure.forms import SUITE

CUT = "the documents are cut otherwise, and one text found is not what it was"
WHOLE = "a suite `{split: test, by: document}` in both builds compares them"


def same_cut(one: Lock, other: Lock) -> bool:
    """Whether both cut their documents by the same rules."""
    return _cut(one) == _cut(other)


def comparable(one: Lock, other: Lock, suite: str) -> bool:
    """Whether a figure of this suite says the same of both: of texts cut alike, or of documents."""
    return same_cut(one, other) or suite in _by_document(one) & _by_document(other)


def suite_of(where: str) -> str:
    """The suite that a line of figures is of: `tuned on ood`; the first one is unsaid."""
    return where.partition(" on ")[2] or SUITE


def _cut(lock: Lock) -> dict[str, str]:
    params = lock.blocks["corpus"].params if "corpus" in lock.blocks else {}
    return {path: text for path, text in params.items() if path.startswith("corpus.chunking.") and text != "none"}


def _by_document(lock: Lock) -> set[str]:
    params = lock.blocks["evaluate"].params if "evaluate" in lock.blocks else {}
    return {path.split(".")[2] for path, text in params.items()
            if path.startswith("eval.suites.") and path.endswith(".by") and text == "document"}
