"""FAQ files in YAML: their questions and answers, wherever in the file they stand."""
from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from embspec.errors import Where
from embspec.stages.reading import Problems, Row, lacks_field

QUESTION, ANSWER = ("question", "q"), ("answer", "a")
MOST = 4 << 20  # letters of a file: its reader takes seconds and dozens of megabytes for each million
MARKS = ("?", "？", "؟")


def composed(text: str, name: str, problems: Problems) -> Any:
    """The nodes of a YAML file with their places; scalars stay the texts they are. None where it cannot be read."""
    if not text.strip():
        return None
    if len(text) > MOST:
        said = f"this file is longer than {MOST >> 20} MB, which is much for YAML"
        problems.add("input.too-long", said, Where(name), "split it, or write the questions as jsonl or csv")
        return None
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # YAML lets an anchor be given twice, its reader warns of it
            return YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Where(name, mark.line + 1, mark.column + 1) if mark else Where(name)
        what = str(error.problem or error.context)
    except (YAMLError, ValueError, RecursionError) as error:
        where, what = Where(name), str(error) or type(error).__name__
    problems.add("input.yaml", f"not YAML: {what.splitlines()[0]}", where, "quote the text that stands there")
    return None


def rows(node: Any, name: str, problems: Problems) -> Iterator[Row]:
    """Every mapping with a question and an answer, however deep, and every `question?: answer`."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:  # an alias stands for what was met; aliases of aliases grow without end
            continue
        seen.add(id(node))
        if node.id == "sequence":
            waiting += reversed(node.value)
        elif node.id == "mapping":
            yield from _entries(node, name, problems)
            waiting += [value for _, value in reversed(node.value)]


def scalars(node: Any, within: bool = False) -> dict[str, str]:
    """What a mapping says in plain texts, and its `metadata`; those within that, which may be itself, are not asked."""
    found: dict[str, str] = {}
    for key, value in node.value if node is not None and node.id == "mapping" else ():
        if key.id == "scalar" and value.id == "scalar":
            found[key.value] = value.value.strip()
        elif key.id == "scalar" and key.value == "metadata" and not within:
            found = {**scalars(value, True), **found}
    return found


def _entries(node: Any, name: str, problems: Problems) -> Iterator[Row]:
    """The questions that one mapping holds."""
    values = {key.value: value for key, value in node.value if key.id == "scalar"}
    question = next((word for word in QUESTION if word in values and values[word].id == "scalar"), None)
    if question:
        where = Where(name, values[question].start_mark.line + 1)
        if any(word in values for word in ANSWER):
            yield Row(where, {_called(word): _plain(value) for word, value in values.items()})
        else:
            lacks_field(ANSWER[:1], values, where, problems)
        return
    for key, value in node.value:
        if key.id == "scalar" and value.id == "scalar" and key.value.strip().endswith(MARKS):
            yield Row(Where(name, key.start_mark.line + 1), {"question": key.value.strip(), "answer": value.value})


def _called(word: str) -> str:
    return "question" if word in QUESTION else "answer" if word in ANSWER else str(word)


def _plain(node: Any) -> Any:
    """A node as a row has it: a text, a list of texts, or what is no text and said to be so."""
    if node.id == "scalar":
        return None if node.tag.endswith(":null") and not node.style else node.value
    if node.id == "sequence" and all(one.id == "scalar" for one in node.value):
        return [one.value for one in node.value]
    return {} if node.id == "mapping" else []
