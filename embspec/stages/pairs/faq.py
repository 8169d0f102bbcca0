"""FAQ files: questions and their answers out of YAML, and out of Markdown whose headings are questions."""
from __future__ import annotations

import re
from collections.abc import Iterator

from embspec.errors import Where
from embspec.plan.protocol import Tree
from embspec.stages import outline
from embspec.stages.faq import MARKS, composed, rows
from embspec.stages.pairs.sections import behind_front, ends, plain
from embspec.stages.reading import Problems, Row, whole

_LABEL = re.compile(r"(?:q(?:uestion)?\s*\d*\s*[:.)]|\d+[.)])\s*", re.IGNORECASE)


def yaml_rows(tree: Tree, name: str, problems: Problems) -> Iterator[Row]:
    """The questions of a YAML file with their answers."""
    text = whole(tree, name, problems)
    node = None if text is None else composed(text, name, problems)
    return rows(node, name, problems)


def markdown_rows(tree: Tree, name: str, problems: Problems) -> Iterator[Row]:
    """The headings that are questions; the answer is all text up to the next heading that is as high."""
    text = whole(tree, name, problems)
    if text is None:
        return
    found = headings(text)
    for block, end in zip(found, ends(found, len(text)), strict=True):
        asked = question(block.words)
        if not asked:
            continue
        answer, where = text[block.end : end].strip(), Where(name, block.number)
        if answer:
            yield Row(where, {"question": asked, "answer": answer})
        else:
            problems.add("input.empty-text", "this question has no answer below it", where, "write it, or take it out")


def headings(text: str) -> list[outline.Block]:
    """The headings of a file, those of its front matter aside."""
    return list(outline.headings(text, behind_front(text)))


def question(title: str) -> str:
    """The question that a heading asks, without marks and numbers; empty where it asks none."""
    words = plain(title)
    label = _LABEL.match(words)
    rest = words[label.end() :] if label else words
    if rest.endswith(MARKS) or (label and label[0][0] in "qQ"):
        return rest
    return ""
