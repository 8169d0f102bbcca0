"""DOCX: headings, paragraphs, lists and tables in their order."""
from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from embspec.stages.corpus.blocks import Blocks
from embspec.stages.corpus.documents import Page, Source
from embspec.stages.corpus.parsers import load, on_disk, parsing
from embspec.stages.reading import Problems

MEMBERS = 10_000  # files in the archive
UNPACKED = 32 << 20  # bytes of text that its files may have together
RATIO = 200  # times that a file may be larger than it is packed; text of Word has some 10 to 30
SMALL = 1 << 20  # up to here no ratio is asked for
_CHUNK = 1 << 16
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how an encrypted file begins, and one of the old Word
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_CORE = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
# What holds text that stands in the document: content controls, tracked insertions, links, fields. Those that were
# taken out or moved away, text boxes and formulas are none.
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HOLDERS = frozenset({
    "sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "hyperlink", "fldSimple", "dir", "bdo",
})
_GALLERY = f"{_W}sdtPr/{_W}docPartObj/{_W}docPartGallery"
FRONT = ("author", "subject", "keywords", "category", "language", "created", "modified")


def read(source: Source, problems: Problems) -> Page | None:
    """One document per file; the title is that of its properties, else the first heading."""
    library = load("docx", "python-docx", source.where, problems)
    if library is None:
        return None
    fix = "open it in Word or LibreOffice, and save it anew as .docx"
    with on_disk(source) as path, parsing("DOCX", source.where, problems, fix):
        safe = _repacked(path, source, problems)
        return None if safe is None else _page(library.Document(safe))
    return None


def _repacked(path: str, source: Source, problems: Problems) -> io.BytesIO | None:
    """The archive's texts, unpacked here bit by bit and within bounds: what opens it next would unpack all at once."""
    with open(path, "rb") as file:
        if file.read(len(_OLE)) == _OLE:
            text = "this file is encrypted, or one of Word 97"
            problems.add("input.encrypted", text, source.where, "save it as .docx without a password")
            return None
    out = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as plain:
        members = archive.infolist()
        texts = [member for member in members if member.filename.endswith((".xml", ".rels"))]
        wrong = _bomb(members, texts)
        left = UNPACKED
        for member in texts if not wrong else ():
            data = _unpacked(archive, member, left)
            left -= len(data)
            wrong = "its files are larger than they say" if left < 0 else ""
            # Word writes no such thing, and it is how a short text becomes a long one.
            wrong = wrong or ("it declares entities" if b"<!DOCTYPE" in data or b"<!ENTITY" in data else "")
            if wrong:
                break
            plain.writestr(zipfile.ZipInfo(member.filename), data)
        for member in members:
            if member not in texts:  # images and the like: what refers to them has to find something
                plain.writestr(zipfile.ZipInfo(member.filename), b"")
    if wrong:
        problems.add("input.bomb", f"this file is not unpacked: {wrong}", source.where, "save it anew, or take it out")
        return None
    return out


def _bomb(members: list[zipfile.ZipInfo], texts: list[zipfile.ZipInfo]) -> str:
    """What is suspicious about an archive by what it says of itself."""
    if len(members) > MEMBERS:
        return f"it holds {len(members)} files, and {MEMBERS} are the most"
    total = sum(member.file_size for member in texts)
    if total > UNPACKED:
        return f"it would be {total >> 20} MB of text, and {UNPACKED >> 20} are the most"
    for member in texts:
        if member.file_size > max(SMALL, RATIO * member.compress_size):
            return f"{member.filename!r} is {member.file_size // max(member.compress_size, 1)} times larger unpacked"
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"{member.filename!r} is packed in a way that Word does not use"
    return ""


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> bytes:
    """The bytes of a file in the archive, at most one chunk more than are left."""
    data = bytearray()
    with archive.open(member) as file:
        while len(data) <= left and (chunk := file.read(_CHUNK)):
            data += chunk
    return bytes(data)


def _page(document: Any) -> Page:
    blocks, styles = Blocks(), _styles(document)
    for block in _inside(document.element.body, "p", "tbl"):
        if block.tag == f"{_W}tbl":
            rows = _inside(block, "tr")
            blocks.table([[" ".join(_words(cell)) for cell in _inside(row, "tc")] for row in rows])
            continue
        level = styles.get(block.style or "", 0)
        if level > 0:
            blocks.heading(level, _text(block))
        elif depth := _depth(block) or -level:
            blocks.item(_text(block), depth)
        else:
            blocks.paragraph(_text(block))
    title, front = _front(document)
    return Page(title or blocks.first, blocks.text(), front)


def _inside(top: Any, *names: str) -> Iterator[Any]:
    """The elements of these names in one, in order, and in what holds text within it; no table of contents."""
    for child in () if top is None else top.iterchildren(f"{_W}*"):
        name = child.tag.removeprefix(_W)
        if name in names:
            yield child
        elif name in _HOLDERS and not _is_contents(child):
            yield from _inside(child, *names)


def _is_contents(holder: Any) -> bool:
    gallery = holder.find(_GALLERY)
    return gallery is not None and gallery.get(f"{_W}val") == "Table of Contents"


def _text(paragraph: Any) -> str:
    return "".join(run.text for run in _inside(paragraph, "r"))


def _styles(document: Any) -> Mapping[str, int]:
    """What each style of paragraphs is: the level of a heading, minus the depth of an item, or 0."""
    return {style.style_id: _kind(style) for style in document.styles if style.style_id}


def _kind(style: Any) -> int:
    """A style's own name says it, or that of one it is based on."""
    for _ in range(10):
        name = (style.name or "").lower() if style is not None else ""
        if found := _HEADING.fullmatch(name):
            return int(found[1])
        if name == "title":
            return 1
        if name.startswith(("list bullet", "list number")):
            return -int(name[-1]) if name[-1].isdecimal() else -1
        style = getattr(style, "base_style", None)
    return 0


def _depth(paragraph: Any) -> int:
    """The depth of an item that Word numbers or marks; 0 of a paragraph that is none."""
    properties = paragraph.pPr
    numbered = None if properties is None else properties.numPr
    if numbered is None:
        return 0
    level = numbered.ilvl
    return 1 + max(0, min(level.val, 8)) if level is not None else 1


def _words(cell: Any) -> Iterator[str]:
    """The texts in a cell, those of a table within it too."""
    for block in _inside(cell, "p", "tbl"):
        if block.tag == f"{_W}tbl":
            for row in _inside(block, "tr"):
                for inner in _inside(row, "tc"):
                    yield from _words(inner)
        else:
            yield _text(block)


def _front(document: Any) -> tuple[str, dict[str, Any]]:
    """Title and properties, as far as the file has any: asked for those it lacks, the library makes them up."""
    try:
        said = document.part.package.part_related_by(_CORE).core_properties
    except KeyError:
        return "", {}
    return said.title.strip(), {name: value for name in FRONT if (value := getattr(said, name))}
