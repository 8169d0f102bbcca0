"""A draft as the text of a spec, with the reasons beside each line."""
from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from embspec.init.draft import LEAST, Draft
from embspec.init.pairs import Source

_PLAIN = re.compile(r"(?!\.\d)[A-Za-z_./][A-Za-z0-9_./@+-]*")
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n", ".", "..", ".nan", ".inf")
WIDTH = 118


def spec(draft: Draft, name: str) -> str:
    """The whole file."""
    return "\n".join([*_head(draft, name), *_model(draft), *_corpus(draft), *_pairs(draft), *_split(draft),
                      *_gates(draft)]) + "\n"


def scalar(value: str) -> str:
    """A text as YAML has it: in quotes where it could be taken for something else."""
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else "".join(map(_sign, json.dumps(value, ensure_ascii=False)))


def _sign(sign: str) -> str:
    """A letter within quotes: YAML takes no control characters, and ends a line where other tools do not."""
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def _seen(text: str) -> str:
    """A text as a comment can have it."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _flow(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}"


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(map(scalar, values)) + "]"


def _said(text: str, indent: str = "") -> list[str]:
    """A comment, in lines."""
    mark = f"{indent}# "
    return textwrap.wrap(_seen(text), WIDTH, initial_indent=mark, subsequent_indent=mark, break_long_words=False,
                         break_on_hyphens=False)


def _points(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        yield from textwrap.wrap(_seen(text), WIDTH, initial_indent="#   - ", subsequent_indent="#     ",
                                 break_long_words=False, break_on_hyphens=False)


def _head(draft: Draft, name: str) -> Iterator[str]:
    yield "# Written by `embspec init` from what it found; yours to edit. `embspec check` reads it and all inputs."
    if draft.wants:
        yield "#"
        yield "# What is missing:"
        yield from _points(draft.wants)
    yield "embspec: 1"
    if name:
        yield f"name: {scalar(name)}"


def _model(draft: Draft) -> Iterator[str]:
    base = draft.base
    lines = ["model:"]
    lines += _said(base.about, "  ")
    if base.tokenizer:
        lines += ["  base:", "    static:", f"      weights: {scalar(base.name)}",
                  f"      tokenizer: {scalar(base.tokenizer)}"]
    else:
        lines += [f"  base: {scalar(base.name)}"]
    yield ""
    if draft.sources:
        yield from lines
        return
    yield from _said("Without pairs there is nothing to tune or to measure with: this spec builds the corpus alone. "
                     "With pairs, take the marks off these lines.")
    yield from (f"# {line}" for line in lines if not line.lstrip().startswith("#"))


def _corpus(draft: Draft) -> Iterator[str]:
    yield ""
    yield "corpus:"
    if len(draft.paths) == 1:
        yield f"  path: {scalar(draft.paths[0])}"
    else:
        yield "  path:"
        yield from (f"    - {scalar(path)}" for path in draft.paths)
    if draft.corpus.fields:
        yield f"  fields: {_flow({role: scalar(name) for role, name in draft.corpus.fields.items()})}"
    if draft.corpus.metadata:
        yield "  # Kept with each document, for filters and slices."
        yield f"  metadata: {_list(draft.corpus.metadata)}"
    chunking = f"{{strategy: structure, tokens: {draft.tokens}, overlap: {draft.tokens // 8}}}"
    if draft.tokens and draft.sources:
        yield "  # Cut at headings and paragraphs; no chunk has more tokens than this, as the base counts them."
        yield f"  chunking: {chunking}"
    elif draft.tokens:
        yield f"  # Once there is a model: chunking: {chunking}"
    for one in draft.left:
        yield from _said(f"Left out: {one.what}: {one.why}.", "  ")


def _pairs(draft: Draft) -> Iterator[str]:
    yield ""
    yield from _said("gold: people asked and people judged; it tests. curated and synthetic pairs train. Parts are "
                     "named by `roles`.")
    if not draft.sources:
        yield "# pairs:"
        yield '#   - {name: gold, path: gold.jsonl, trust: gold}   # lines of {"query": "…", "positive": "DOCUMENT"}'
        return
    yield "pairs:"
    for source in draft.sources:
        if source.about:
            yield from _said(source.about, "  ")
        yield f"  - {_source(source)}"
    if draft.offered is not None:
        yield from _said(draft.offered.about, "  ")
        yield f"  # - {_source(draft.offered)}"


def _source(source: Source) -> str:
    said = {"name": source.name}
    said |= {"from": "headings"} if source.headings else {"path": scalar(source.path)}
    said |= {"format": source.format} if source.format != "auto" else {}
    said |= {"qrels": scalar(source.qrels)} if source.qrels else {}
    said |= {"fields": _flow({role: scalar(name) for role, name in source.fields.items()})} if source.fields else {}
    said |= {"trust": source.trust} if source.trust else {}
    said |= {"roles": _list(source.roles)} if source.roles else {}
    return _flow(said)


def _split(draft: Draft) -> Iterator[str]:
    if not draft.sources:
        return
    yield ""
    yield "split:"
    if draft.by == "given":
        yield "  # As published: each source goes where its roles say."
        yield "  by: given"
    else:
        yield "  # What is about one document, or about two that are nearly the same, stays on one side."
        yield "  by: document"
    if draft.leaking:
        yield "  # It leaks, as said above: the leaking and the disjoint part are scored apart."
        yield "  on_leak: report"
    if draft.least:
        yield from _said(f"There is less than an interval wants ({LEAST.test} and {LEAST.validation}, the defaults): "
                         "raise these as questions come in.", "  ")
        yield f"  min_queries: {_flow({part: str(number) for part, number in draft.least.items()})}"


def _gates(draft: Draft) -> Iterator[str]:
    if not draft.sources:
        return
    yield ""
    yield from _said("What ships must not find less than the untuned base; only a loss beyond luck stops it. Ask for "
                     "more once you know what you need: `recall@10 >= base + 0.05 @95`.")
    if draft.leaking:
        yield "# It is judged on the test questions that share nothing with training."
    yield "gates:"
    yield f"  - recall@10{' slice disjoint' if draft.leaking else ''} >= base @95"
