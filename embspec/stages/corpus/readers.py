"""Formats of documents: how each file becomes documents, in one table."""
from __future__ import annotations

from collections.abc import Callable, Iterator

from embspec.stages import outline
from embspec.stages.corpus import docx, faq, html, markdown, parquet, pdf, rst
from embspec.stages.corpus.documents import Document, Fields, Page, Source, of_page, of_rows
from embspec.stages.reading import Problems, csv_rows, json_rows, whole

Reader = Callable[[Source, Fields, Problems], Iterator[Document]]


def read_jsonl(source: Source, fields: Fields, problems: Problems) -> Iterator[Document]:
    """One document per JSON object, BEIR's corpus.jsonl among them."""
    return of_rows(json_rows(source.tree, source.name, problems), fields, problems)


def read_csv(source: Source, fields: Fields, problems: Problems) -> Iterator[Document]:
    """One document per row under the header."""
    return of_rows(csv_rows(source.tree, source.name, (fields.id, fields.text), problems), fields, problems)


def read_parquet(source: Source, fields: Fields, problems: Problems) -> Iterator[Document]:
    """One document per row."""
    return of_rows(parquet.rows(source, fields, problems), fields, problems)


def read_markdown(source: Source, problems: Problems) -> Page | None:
    """Front matter and text; the title is the first heading, which the text keeps."""
    text = whole(source.tree, source.name, problems)
    page = None if text is None else markdown.split(text, source.name, problems)
    return page and Page(outline.title(page.text), page.text, page.front)


def read_text(source: Source, problems: Problems) -> Page | None:
    """A file as it is."""
    text = whole(source.tree, source.name, problems)
    return None if text is None else Page("", text.strip("\n"), {})


def _one(read: Callable[[Source, Problems], Page | None]) -> Reader:
    """A reader of files that are one document each."""

    def reader(source: Source, fields: Fields, problems: Problems) -> Iterator[Document]:
        page = read(source, problems)
        if page is not None:
            yield from of_page(source.name, page, fields, problems)

    return reader


READERS: dict[str, Reader] = {
    ".jsonl": read_jsonl,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
    ".md": _one(read_markdown),
    ".html": _one(html.read),
    ".htm": _one(html.read),
    ".txt": _one(read_text),
    ".rst": _one(rst.read),
    ".pdf": _one(pdf.read),
    ".docx": _one(docx.read),
    ".yml": _one(faq.read),
    ".yaml": _one(faq.read),
}
