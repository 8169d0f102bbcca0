"""HTML: the text of a page block by block, its title, and the metadata of its head."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from embspec.stages.corpus.blocks import Blocks, spaced
from embspec.stages.corpus.documents import Page, Source
from embspec.stages.corpus.parsers import PARSED, load, parsing
from embspec.stages.reading import BOM, Problems, decoded, raw

# What no reader of a page reads.
SKIPPED = frozenset({
    "script", "style", "template", "noscript", "nav", "svg", "iframe", "head", "button", "select", "textarea", "object",
})
HEADINGS = {f"h{level}": level for level in range(1, 7)}
BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html", "legend", "li",
    "main", "menu", "ol", "option", "p", "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead",
    "tr", "ul", *HEADINGS,
})
LISTS = frozenset({"ul", "ol", "menu", "dir"})

# What a page may say of its encoding, by the names of the web, and what these mean; pages say latin-1 for cp1252.
CHARSETS = {
    **dict.fromkeys(("utf-8", "utf8", "unicode-1-1-utf-8"), "utf-8"),
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "latin-1", "l1", "ascii", "us-ascii", "cp1252"), "cp1252"),
    **{f"windows-{page}": f"cp{page}" for page in range(1250, 1259)},
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **dict.fromkeys(("gb2312", "gbk", "gb18030", "x-gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
    "big5": "big5hkscs", "euc-jp": "euc-jp", "iso-2022-jp": "iso2022-jp", "koi8-r": "koi8-r", "koi8-u": "koi8-u",
    "macintosh": "mac-roman", "windows-874": "cp874", "iso-8859-9": "cp1254", "iso-8859-11": "cp874",
}
_DECLARED = re.compile(rb"""<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([^\s"'/>;]+)""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml\b[^>]*?\bencoding\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
_HEAD = 4096  # bytes in which a page says its encoding

_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
# Elements whose end need not be written, or that have none.
_OPEN_ENDED = frozenset({
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "option", "optgroup", "colgroup", "rp", "rt",
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "html",
    "head", "body",
})
_FORMATTING = frozenset({
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
})
_CODE = {tag: re.compile(f"</{tag}[\\s/>]", re.IGNORECASE) for tag in ("script", "style")}
DEEP = 512  # elements within each other: browsers stop there too, and time grows with the square of it
REPEATED = 2_000_000  # elements that a parser would have to make anew because some before were never closed


def read(source: Source, problems: Problems) -> Page | None:
    """The title is that of the head, else the first heading; navigation, scripts and styles are left out."""
    data = raw(source.tree, source.name, PARSED, problems)
    text = None if data is None else _decoded(data, source, problems)
    lexbor = load("selectolax.lexbor", "selectolax", source.where, problems)
    if text is None or lexbor is None:
        return None
    if not _is_bounded(text):
        fix = "close its elements, or save the page as text"
        problems.add("input.unreadable", "elements are opened and never closed, or lie too deep in each other",
                     source.where, fix)
        return None
    with parsing("HTML", source.where, problems, "save the page as text"):
        return _page(lexbor.LexborHTMLParser(text))
    return None


def _decoded(data: bytes, source: Source, problems: Problems) -> str | None:
    """Bytes as text: in the encoding that the page declares, else in UTF-8."""
    found = None if data.startswith(BOM) else _DECLARED.search(data, 0, _HEAD) or _XML.search(data, 0, _HEAD)
    named = found[1].decode("ascii", "replace").strip().lower() if found else "utf-8"
    # A page that could be read so far as to say UTF-16 is not in it, and the web takes it for UTF-8.
    charset = CHARSETS.get("utf-8" if named.startswith("utf-16") else named)
    if charset is None:
        text = f"the page says that its encoding is {named!r}, which is not read"
        problems.add("input.encoding", text, source.where, "save it as UTF-8, and have it say so")
        return None
    return decoded(data, source.where, problems, charset)


def _is_bounded(text: str) -> bool:
    """Whether a parser is done in time: without ends, each new paragraph opens all that was opened before again."""
    depth: dict[str, int] = {}
    deep = formatting = repeated = at = 0
    for found in _TAG.finditer(text):
        tag = found[2].lower()
        if found.start() < at:
            continue
        if tag in _CODE and not found[1] and not depth.get("svg"):  # `a<b` of a script opens nothing
            end = _CODE[tag].search(text, found.end())
            at = end.start() if end else len(text)
            continue
        repeated += formatting
        if repeated > REPEATED:
            return False
        if tag in _OPEN_ENDED:
            continue
        step = 1 if not found[1] else -1 if depth.get(tag) else 0
        depth[tag] = depth.get(tag, 0) + step
        deep += step
        formatting += step if tag in _FORMATTING else 0
        if deep > DEEP:
            return False
    return True


def _page(tree: Any) -> Page:
    blocks = Blocks()
    if tree.body is not None:
        _Walk(blocks).through(tree.body)
    named = tree.css_first("head title")
    title = spaced(named.text()) if named is not None else ""
    return Page(title or blocks.first, blocks.text(), _front(tree))


def _front(tree: Any) -> dict[str, Any]:
    """What the meta elements say, by their names in small letters, the first of a name; and the language."""
    front: dict[str, Any] = {}
    for node in tree.css("meta"):
        given = node.attributes
        name, content = given.get("name") or given.get("property"), given.get("content")
        # A title is told by the title; that of a meta element is one for other pages.
        if name and content and name.strip().lower() != "title":
            front.setdefault(name.strip().lower(), content.strip())
    root = tree.css_first("html")
    language = root.attributes.get("lang") if root is not None else None
    return {"lang": language.strip(), **front} if language else front


class _Walk:
    """A way through the elements of a page, which may lie deep: a stack of its own, no recursion."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.words: list[str] = []  # of the block that is being read
        self.depth = 0  # of lists
        self.item = False  # whether the next block begins an item

    def through(self, top: Any) -> None:
        """Take what is below an element."""
        stack = [(top, False)]
        while stack:
            node, left = stack.pop()
            if left:
                self._leave(node.tag)
            elif self._enter(node):
                stack.append((node, True))
                stack.extend((child, False) for child in reversed(list(_children(node))))
        self._end()

    def _enter(self, node: Any) -> bool:
        """Take an element or text; whether what is in it comes next."""
        tag = node.tag
        if tag == "-text":
            self.words.append(spaced_inside(node.text_content or ""))
            return False
        if _is_skipped(node):
            return False
        if tag in HEADINGS or tag in ("pre", "table"):
            self._end()
            self._whole(node, tag)
            return False
        if tag == "br":
            self.words.append("\n")
        elif tag in BLOCKS:
            self._end()
            self.depth += tag in LISTS
            self.item = tag == "li" or (self.item and tag not in LISTS)
        return True

    def _leave(self, tag: str) -> None:
        if tag in BLOCKS:
            self._end()
            self.depth -= tag in LISTS
            if tag == "li":
                self.item = False

    def _whole(self, node: Any, tag: str) -> None:
        """An element whose inside is one block."""
        if tag == "pre":
            self.blocks.code(_text(node, lines=True))
        elif tag == "table":
            for caption in _below(node, ("caption",)):
                self.blocks.paragraph(_text(caption))
            self.blocks.table([[_text(cell) for cell in _below(row, ("td", "th"))] for row in _below(node, ("tr",))])
        else:
            self.blocks.heading(HEADINGS[tag], _text(node))

    def _end(self) -> None:
        """The end of a block."""
        text = "".join(self.words).strip()
        self.words = []
        if not text:
            return
        if self.item:
            self.blocks.item(text, max(self.depth, 1))
            self.item = False
        else:
            self.blocks.paragraph(text)


def spaced_inside(text: str) -> str:
    """White space in running text as the page shows it, where a line's end is none."""
    return re.sub(r"[ \t\r\n\f]+", " ", text)


def _children(node: Any) -> Iterator[Any]:
    child = node.child
    while child is not None:
        yield child
        child = child.next


def _is_skipped(node: Any) -> bool:
    tag = node.tag  # None of an element whose name is no UTF-8 to the parser
    return tag is None or tag in SKIPPED or tag.startswith(("-", "!")) or "hidden" in node.attributes


def _below(top: Any, tags: tuple[str, ...]) -> list[Any]:
    """The nearest elements of these kinds below one; those of a table within a table are that one's cell."""
    found, stack = [], list(reversed(list(_children(top))))
    while stack:
        node = stack.pop()
        if node.tag in tags:
            found.append(node)
        elif not _is_skipped(node):
            stack.extend(reversed(list(_children(node))))
    return found


def _text(top: Any, lines: bool = False) -> str:
    """All text below an element; as it is written where lines count."""
    words, stack = [], [top]
    while stack:
        node = stack.pop()
        if node.tag == "-text":
            words.append(node.text_content or "")
        elif node.tag == "br":
            words.append("\n" if lines else " ")
        elif node is top or not _is_skipped(node):
            if not lines and node.tag in BLOCKS:
                words.append(" ")
            stack.extend(reversed(list(_children(node))))
    return "".join(words) if lines else spaced("".join(words))
