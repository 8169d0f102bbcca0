"""reStructuredText: the text of a page block by block; what only Sphinx knows is read as what it holds."""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from textwrap import dedent
from typing import Any

from embspec.stages.corpus.blocks import Blocks, spaced
from embspec.stages.corpus.documents import Page, Source
from embspec.stages.corpus.parsers import PARSED, load, parsing
from embspec.stages.reading import Problems, decoded, raw

MOST = PARSED // 4  # bytes of a file: docutils is slow
WITHIN = 6  # directives within each other that docutils does not know
ERROR = 3  # docutils' level of a message that stands in the place of a text

# What is no text of the page: lists of other pages, files and modules.
SILENT = frozenset({
    "toctree", "index", "highlight", "default-domain", "currentmodule", "module", "py:module", "py:currentmodule",
    "sectionauthor", "codeauthor", "tabularcolumns", "literalinclude", "automodule", "autoclass", "autofunction",
    "automethod", "autosummary", "include", "raw", "meta", "image", "figure", "contents", "sectnum",
})
CODE = frozenset({"code", "code-block", "sourcecode", "parsed-literal", "prompt", "console", "doctest", "testcode"})
OMITTED = frozenset({
    "comment", "target", "substitution_definition", "pending", "raw", "meta", "image", "decoration", "label",
    "generated", "colspec",
})
PLAIN = frozenset({"paragraph", "rubric", "caption", "attribution", "term", "subtitle", "title", "math_block"})

SETTINGS: Mapping[str, Any] = {
    "file_insertion_enabled": False, "raw_enabled": False,  # no other file, no address
    "report_level": 5, "halt_level": 6, "warning_stream": False,  # no message
    "syntax_highlight": "none", "line_length_limit": PARSED,
}

_DIRECTIVE = re.compile(r"\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([\w:+.-]+?)::(?:[ \t]+([^\n]*))?(?:\n|$)")
_OPTION = re.compile(r"[ \t]*:[\w-]+:")
_ROLE_TARGET = re.compile(r"^(.+?)\s*(?<!\x00)<[^<>]*>$", re.DOTALL)
_RULE = re.compile(r"^[^\w\s]{3,}[ \t]*$")


def read(source: Source, problems: Problems) -> Page | None:
    """One document per file; the title is the first heading; a field list at the top is its metadata."""
    data = raw(source.tree, source.name, MOST, problems)
    text = None if data is None else decoded(data, source.where, problems)
    if load("docutils", "docutils", source.where, problems) is None or text is None:
        return None
    with parsing("reStructuredText", source.where, problems, "correct it there, or save it as text"):
        walk = _Walk()
        tree = _tree(text)
        front = _front(tree)
        walk.children(tree, 0, 0)
        return Page(walk.blocks.first, walk.blocks.text(), front)
    return None


@cache
def _parser() -> tuple[Any, Any, Any]:
    """What makes a parser, the settings, and what makes an empty document."""
    from docutils import frontend, nodes, utils
    from docutils.parsers.rst import Parser, states

    def interpreted(rawsource: str, text: str, role: str, lineno: int) -> tuple[list[Any], list[Any]]:
        """Every role is read as its text: what a role means is known to a project, or was said in another file."""
        return [nodes.inline(rawsource, _role(text))], []

    def parser() -> Any:
        inliner = states.Inliner()
        inliner.interpreted = interpreted  # type: ignore[method-assign]
        return Parser(inliner=inliner)

    settings = frontend.get_default_settings(Parser)
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    return parser, settings, utils.new_document


def _role(text: str) -> str:
    """What a reader sees of a role: the title before a target, the last word of a name that begins with `~`."""
    titled = _ROLE_TARGET.match(text)
    if titled:
        return titled[1]
    return text.rpartition(".")[2] if text.startswith("~") else text.removeprefix("!")


def _tree(text: str) -> Any:
    """The document as docutils has it; nothing is resolved, so nothing is fetched, dated or repeated."""
    parser, settings, new = _parser()
    document = new("", settings.copy())
    parser().parse(text, document)
    return document


def _front(tree: Any) -> dict[str, Any]:
    """The field list at the top, or under the first title; it is taken out of the tree."""
    top = tree
    for node in list(tree.children):
        if node.tagname == "section":
            top = node
            break
        if node.tagname not in OMITTED:
            break
    body = [node for node in top.children if node.tagname not in OMITTED and node.tagname != "title"]
    if not body or body[0].tagname != "field_list":
        return {}
    top.remove(body[0])
    fields = {field.children[0].astext().strip().lower(): spaced(field.children[1].astext()) for field in body[0]}
    return {name: value for name, value in fields.items() if value}


class _Walk:
    """A way through a tree; docutils' own recursion bounds how deep it is."""

    def __init__(self) -> None:
        self.blocks = Blocks()
        self.replaced: dict[str, str] = {}
        self.within = 0

    def children(self, node: Any, level: int, depth: int) -> None:
        """Take what is in a node; `level` is that of headings, `depth` that of lists."""
        for name, definition in getattr(node, "substitution_defs", {}).items():
            if "replace::" in definition.rawsource:  # others give dates, files and images
                self.replaced[name.lower()] = definition.astext()
        for child in node.children:
            self.node(child, level, depth)

    def node(self, node: Any, level: int, depth: int) -> None:
        """Take one node."""
        tag = node.tagname
        if tag in OMITTED:
            return
        if tag == "system_message":
            self.message(node, level, depth)
        elif tag == "title" and node.parent.tagname in ("section", "document"):
            self.blocks.heading(level, self.text(node))
        elif tag in PLAIN:
            self.blocks.paragraph(spaced(self.text(node)))
        elif tag in ("literal_block", "doctest_block"):
            self.blocks.code(node.astext())
        elif tag == "line_block":
            self.blocks.paragraph(node.astext())
        elif tag == "table":
            self.table(node)
        elif tag in ("field", "option_list_item"):
            self.blocks.paragraph(": ".join(filter(None, (spaced(self.text(part)) for part in node.children))))
        elif tag == "list_item":
            self.item(node, level, depth)
        elif tag == "#text":
            self.blocks.paragraph(node.astext())
        else:
            self.children(node, level + (tag == "section"), depth + (tag in ("bullet_list", "enumerated_list")))

    def item(self, node: Any, level: int, depth: int) -> None:
        """An item: what it begins with is marked, the rest are blocks."""
        first = node.children[:1]
        if first and first[0].tagname == "paragraph":
            self.blocks.item(spaced(self.text(first[0])), max(depth, 1))
        else:
            first = []
        for child in node.children[len(first):]:
            self.node(child, level, depth)

    def table(self, node: Any) -> None:
        """A table's title, and its rows."""
        for title in node.children:
            if title.tagname == "title":
                self.blocks.paragraph(spaced(self.text(title)))
        rows = _found(node, "row")
        self.blocks.table([[self.text(entry) for entry in row.children] for row in rows])

    def message(self, node: Any, level: int, depth: int) -> None:
        """A message in the place of a text that docutils could not read: the text is taken, the message is not."""
        for child in node.children if node.get("level", 0) >= ERROR else ():
            if child.tagname != "literal_block":
                continue
            text = child.astext()
            directive = _DIRECTIVE.match(text)
            if directive is None:
                lines = (line for line in text.split("\n") if not _RULE.match(line))
                self.blocks.paragraph("\n".join(lines))
            elif directive[1].lower() not in SILENT:
                self.directive(directive[1].lower(), directive[2] or "", text[directive.end():], level, depth)

    def directive(self, name: str, argument: str, rest: str, level: int, depth: int) -> None:
        """A directive that docutils does not know, or not with these options: its argument and what it holds."""
        lines = rest.split("\n")
        while lines and _OPTION.match(lines[0]):
            lines.pop(0)
        content = dedent("\n".join(lines)).strip("\n")
        if name in CODE:
            self.blocks.code(content)
            return
        self.blocks.paragraph(spaced(argument))
        if self.within >= WITHIN:
            self.blocks.paragraph(content)
        elif content:
            self.within += 1
            self.children(_tree(content), level, depth)
            self.within -= 1

    def text(self, node: Any) -> str:
        """The text of a node, with substitutions that stand for a text."""
        if node.tagname == "substitution_reference":
            return self.replaced.get(str(node.get("refname", "")).lower()) or str(node.astext())
        if node.tagname in OMITTED or node.tagname == "system_message":
            return ""
        inner: Sequence[Any] = node.children
        if not inner:
            return str(node.astext())
        between = " " if inner[0].tagname in ("paragraph", *_LISTS, "list_item", "line_block") else ""
        return between.join(self.text(child) for child in inner)


_LISTS = ("bullet_list", "enumerated_list", "definition_list", "field_list")


def _found(node: Any, tag: str) -> Iterable[Any]:
    """The nodes of a kind below one, not those below such."""
    for child in node.children:
        if child.tagname == tag:
            yield child
        else:
            yield from _found(child, tag)
