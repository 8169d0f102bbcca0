"""PDF: the text layer, page by page."""
from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

from embspec.stages.corpus.documents import Page, Source
from embspec.stages.corpus.parsers import load, on_disk, parsing
from embspec.stages.reading import LIMIT, Problems

NEEDS_PASSWORD, UNKNOWN_LOCK = 4, 5  # PDFium's numbers for a document that cannot be opened
FRONT = {"Author": "author", "Subject": "subject", "Keywords": "keywords"}
# PDFium writes one of these for a hyphen at the end of a line; the word goes on in the next.
_HYPHEN = re.compile(r"[\x02\ufffe](?:\r?\n)?")
_END = re.compile(r"[ \t]*(?:\r\n|\r|\n)")


def read(source: Source, problems: Problems) -> Page | None:
    """One document per file; the title is that of the document's properties."""
    pdfium = load("pypdfium2", "pypdfium2", source.where, problems)
    if pdfium is None:
        return None
    with on_disk(source) as path, parsing("PDF", source.where, problems, "save it anew from a viewer"):
        opened = _opened(pdfium, path, source, problems)
        if opened is None:
            return None
        with closing(opened):
            return _page(opened, source, problems)
    return None


def _opened(pdfium: Any, path: str, source: Source, problems: Problems) -> Any:
    """The document; one that is locked is noted."""
    try:
        return pdfium.PdfDocument(Path(path))
    except pdfium.PdfiumError as error:
        if error.err_code not in (NEEDS_PASSWORD, UNKNOWN_LOCK):
            raise
    fix = "save it without a password, or take it out"
    problems.add("input.encrypted", "this PDF is encrypted, and opens with a password only", source.where, fix)
    return None


def _page(opened: Any, source: Source, problems: Problems) -> Page | None:
    texts: list[str] = []
    size = 0
    for number in range(len(opened)):
        with closing(opened[number]) as page, closing(page.get_textpage()) as layer:
            text = _clean(layer.get_text_range())
        size += len(text)
        if size > LIMIT:
            where, fix = source.where, "split the document"
            problems.add("input.too-long", f"the text of this file is longer than {LIMIT >> 20} MB", where, fix)
            return None
        if text:
            texts.append(text)
    if not texts:
        pages = f"{len(opened)} page" + ("" if len(opened) == 1 else "s")
        fix = "put a text layer into it by OCR, for example with ocrmypdf, or take it out"
        problems.add("input.no-text", f"this PDF has no text on {pages}: it is scanned, or drawn", source.where, fix)
        return None
    said = opened.get_metadata_dict(skip_empty=True)
    front = {name: said[key].strip() for key, name in FRONT.items() if key in said}
    return Page(said.get("Title", "").strip(), "\n\n".join(texts), {**front, "pages": len(opened)})


def _clean(text: str) -> str:
    """The text of a page with one kind of line's end, words that a line's end parts together again."""
    lines = _END.split(_HYPHEN.sub("", text).replace("\x00", ""))
    return "\n".join(lines).strip()
