"""YAML text to a tree of plain values, each with the place it was written at."""
from __future__ import annotations

import io
import re
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from embspec.errors import EmbspecError, Problem, Where, fail

Value = Any
"""A scalar, a dict of `Node` by key, or a list of `Node`."""

LARGEST = 100_000  # nodes; aliases of aliases grow without bound, and no spec a person writes comes near
CORE = "tag:yaml.org,2002:"
INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
CONFLICT = re.compile(r"^(<<<<<<<|>>>>>>>) ", re.MULTILINE)

# What the YAML reader says -> what a person would; the first match wins.
SAYINGS: tuple[tuple[str, str, str], ...] = (
    (r"found character '\\t'", "a tab stands where YAML allows only spaces", "indent with spaces"),
    (r"found character '(.)'", "a value cannot begin with `{0}`", "put the value in quotes"),
    (
        r"found undefined alias '(.*)'",
        "the alias `*{0}` has no anchor `&{0}` before it",
        "put the value in quotes if it only begins with a star",
    ),
    (r"found duplicate anchor", "this anchor is written twice", "give each anchor its own name"),
    (
        r"mapping values are not allowed",
        "a `:` stands where no key can be",
        "quote a text that contains `: `, write a space after a key's `:`, and indent the keys of one mapping alike",
    ),
    (r"could not find expected ':'", "a key has no `:` after it", "write `key: value`"),
    (r"found unexpected end of stream", "a quote is opened and never closed", "close the quote"),
    (r"expected '(.)' or '([\]}])'", "a `{1}` or `{0}` is missing", "close what was opened, or separate the items"),
    (
        r"expected <block end>",
        "this line's indentation fits nothing above it",
        "indent the keys or items of one section alike",
    ),
    (r"expected the node content", "a value is missing here", "write a value, or put the text in quotes"),
    (r"but found another document", "a second document begins here", "keep one spec in a file, without `---` lines"),
    (r"incompatible YAML document", "this file says it is another YAML than 1.2", "drop the `%YAML` line"),
)


class Node(NamedTuple):
    """One value of a spec: `key` is the place that names it, `at` the place where it begins."""

    value: Value
    key: Where
    at: Where
    raw: str = ""  # a scalar as it was written: `3.10` is a version, not 3.1
    shift: int = 0  # how far its first letter lies from `at`: 1 in quotes

    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value


def decode(data: bytes, file: str) -> str:
    """The text of a spec file, which has to be UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise fail(
            "spec.encoding", "this file is UTF-16, a spec has to be UTF-8", Where(file, 1, 1), "save it as UTF-8"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise fail(
            "spec.encoding",
            f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8",
            Where(file, before.count(b"\n") + 1, column),
            "save the file as UTF-8",
        ) from None
    return text.removeprefix("\ufeff")


def parse(text: str, file: str) -> Node:
    """The tree of a spec file; raises all that is wrong with its text at once."""
    marker = CONFLICT.search(text)
    if marker:
        raise fail(
            "spec.conflict-marker",
            "a merge conflict is still open here",
            Where(file, text.count("\n", 0, marker.start()) + 1, 1),
            "resolve it and remove the marker lines",
        )
    root = _compose(text, lambda line, column: Where(file, line, column))
    if root is None:
        raise fail(
            "spec.empty",
            "this spec is empty",
            Where(file, 1, 1),
            "begin with `embspec: 1`, or let `embspec init` write one",
        )
    return root


def parse_value(text: str, where: Where) -> Node:
    """The tree of one value from the command line; every part of it lies at `where`."""
    root = _compose(text, lambda line, column: where)
    return root if root is not None else Node(None, where, where)


class _Place:
    """From a mark of the YAML reader to a place."""

    def __init__(self, place: Any) -> None:
        self.place = place

    def __call__(self, mark: Any) -> Where:
        found: Where = self.place(mark.line + 1, mark.column + 1)
        return found


def _compose(text: str, place: Any) -> Node | None:
    where = _Place(place)
    try:
        root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        raise _syntax(error, where) from None
    except RecursionError:
        raise fail("spec.syntax", "this is nested too deeply to be a spec", place(1, 1)) from None
    except YAMLError as error:
        raise _character(text, place, error) from None
    if root is None:
        return None
    builder = _Builder(where)
    tree = builder.node(root, where(root.start_mark), ())
    if builder.problems:
        raise EmbspecError(*builder.problems)
    return tree


def _syntax(error: MarkedYAMLError, where: _Place) -> EmbspecError:
    problem = str(error.problem or error.context or "")
    mark = error.problem_mark or error.context_mark
    said, fix = "this cannot be read as YAML: " + (problem or "unknown reason"), ""
    for pattern, words, remedy in SAYINGS:
        found = re.search(pattern, problem)
        if found:
            said, fix = words.format(*found.groups()), remedy
            break
    begun = error.context_mark
    if begun is not None and mark is not None and begun.line != mark.line:
        if "end of stream" in problem or "stream end" in problem or "expected ':'" in problem:
            mark = begun  # the end of the file is no help: the mistake is where it was opened
        elif "expected ','" in problem:
            said += f"; it was opened at line {begun.line + 1}"
    code = "spec.tab" if said.startswith("a tab") else "spec.syntax"
    return fail(code, said, where(mark) if mark is not None else None, fix)


def _character(text: str, place: Any, error: YAMLError) -> EmbspecError:
    # Only characters that no YAML may hold end here: control characters and lone surrogates.
    position = int(getattr(error, "position", 0))
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    shown = f"U+{ord(text[position]):04X}" if position < len(text) else "a character"
    return fail("spec.syntax", f"{shown} may not stand in a spec", place(line, column), "remove it")


class _Builder:
    """Turns the reader's nodes into ours, and gathers what is wrong on the way."""

    def __init__(self, where: _Place) -> None:
        self.where = where
        self.problems: list[Problem] = []
        self.count = 0

    def node(self, node: YamlNode, key: Where, above: tuple[int, ...]) -> Node:
        """One node; `above` are the nodes it lies in, which it may not contain again."""
        at = self.where(node.start_mark)
        self.count += 1
        if id(node) in above or self.count > LARGEST:
            raise fail("spec.syntax", "this alias contains itself, or grows without end", at, "write the value out")
        inside = (*above, id(node))
        tag = str(node.tag or "")
        if not tag.startswith(CORE):
            self.problems.append(Problem("spec.syntax", f"the tag `{tag}` means nothing in a spec", at, "remove it"))
        if isinstance(node, MappingNode):
            return Node(self.mapping(node, inside), key, at)
        if isinstance(node, SequenceNode):
            return Node([self.node(item, self.where(item.start_mark), inside) for item in node.value], key, at)
        return self.scalar(node, key, at) if isinstance(node, ScalarNode) else Node(None, key, at)

    def mapping(self, node: MappingNode, above: tuple[int, ...]) -> dict[str, Node]:
        """The entries of a mapping; a key that stands twice or is no word is a problem."""
        entries: dict[str, Node] = {}
        for name, value in node.value:
            at = self.where(name.start_mark)
            if not isinstance(name, ScalarNode):
                self.problems.append(Problem("spec.syntax", "a key has to be a word", at, "write `key: value`"))
            elif name.tag == CORE + "merge":
                self.problems.append(
                    Problem(
                        "spec.syntax",
                        "merge keys (`<<`) are not read",
                        at,
                        "write the keys out, or use `extends` to build on another spec",
                    )
                )
            elif name.value in entries:
                first = entries[name.value].key
                self.problems.append(
                    Problem(
                        "spec.duplicate-key", f"`{name.value}` is already written at {first}", at, "keep one of the two"
                    )
                )
            else:
                entries[str(name.value)] = self.node(value, at, above)
        return entries

    def scalar(self, node: ScalarNode, key: Where, at: Where) -> Node:
        """A scalar as YAML 1.2's core schema reads it: `no` and dates are text."""
        raw = str(node.value)
        if not raw and node.style is None:
            return Node(None, key, key)  # nothing stands there, and its mark is already on the next line
        if node.style is not None or node.tag == CORE + "str":
            return Node(raw, key, at, raw, 1 if node.style in ("'", '"') else 0)
        if raw in WORDS:
            return Node(WORDS[raw], key, at, raw)
        if INT.fullmatch(raw) and len(raw) < 400:
            return Node(int(raw, 0) if raw[:2] in ("0o", "0x") else int(raw), key, at, raw)
        if FLOAT.fullmatch(raw):
            return Node(float(raw.lower().replace(".inf", "inf").replace(".nan", "nan")), key, at, raw)
        return Node(raw, key, at, raw)
