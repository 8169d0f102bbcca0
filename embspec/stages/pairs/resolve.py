"""From what rows say of their answers to the documents and chunks of the snapshot, in one pass over these."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from embspec.stages.pairs import nearest
from embspec.stages.pairs.asked import SPAN, Asked, Judgement
from embspec.stages.pairs.documents import Page, pages
from embspec.stages.pairs.quotes import NARROW, Finder, Ruler, collapsed, inside, spellings
from embspec.stages.reading import Problems, count, nfc

MOST = 10  # documents that one quote may be in: what is in more of them says of none that it is the answer
AT_ONCE = 1 << 20  # characters that are searched together

RETRAIN = "pairs see the snapshot, not the live documents: `embspec build --retrain` moves it to those"


class Hit(NamedTuple):
    """A place in a page that is an answer: its chunks, and the characters of the page."""

    page: str
    chunks: tuple[str, ...]
    start: int
    end: int


class Places:
    """Places of one quote, in the order in which they are met, up to the limit of pages and one more."""

    def __init__(self) -> None:
        self.all: dict[Hit, None] = {}
        self.pages: set[str] = set()

    def add(self, hit: Hit) -> None:
        """One more; past the limit it says nothing new."""
        if len(self.pages) <= MOST:
            self.all[hit] = None
            self.pages.add(hit.page)

    @property
    def many(self) -> bool:
        """Whether they are in more documents than a quote may be in."""
        return len(self.pages) > MOST


NONE = Places()


class Found:
    """What one pass over the snapshot found of all that the rows name."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}  # id of a row of the snapshot -> the page it is of
        self.pages: dict[str, Page] = {}  # pages that are named, without their texts
        self.parents: set[str] = set()  # named documents that were cut elsewhere: their parts say no places
        self.whole: dict[int, Places] = {}  # quote -> documents that are these words
        self.chunks: dict[int, Places] = {}  # quote -> chunks that are these words
        self.parts: dict[int, Places] = {}  # quote -> places in longer texts
        self.home: dict[tuple[str, int], list[Hit]] = {}  # page and quote -> places in that very page
        self.access: dict[str, tuple[str, ...]] = {}  # id of a row -> the roles that may see it, where it says so
        self.documents = 0


class Wanted:
    """All that the rows name."""

    def __init__(self, rows: Sequence[Asked]) -> None:
        self.names: set[str] = set()
        self.roles = any("role" in asked.extras for asked in rows)
        self.quotes: dict[str, int] = {}
        self.at: dict[str, set[int]] = {}  # page -> the quotes that are looked for in it
        everywhere: dict[int, None] = {}
        for one in (judgement for asked in rows for judgement in asked.judgements):
            for name in _spelt(one.document):
                self.names.add(name)
                if span := SPAN.fullmatch(name):
                    self.names.add(span[1])
            if not one.quote:
                continue
            number = self.quotes.setdefault(one.quote, len(self.quotes))
            for name in _spelt(one.document):
                self.at.setdefault(name, set()).add(number)
            if not one.document or one.loose:
                everywhere[number] = None
        self.everywhere = list(everywhere)
        self.texts = list(self.quotes)


def _spelt(name: str) -> tuple[str, ...]:
    """A document as it is named, and as the snapshot spells the path of a file: in composed Unicode."""
    return tuple(dict.fromkeys((name, nfc(name)))) if name else ()


def resolve(rows: Sequence[Asked], path: Path, field: str, problems: Problems) -> tuple[list[Asked], Found]:
    """The rows with the ids of the snapshot; what leads nowhere is noted, all of it."""
    wanted = Wanted(rows)
    found = _search(wanted, path)
    lost: list[Judgement] = []
    nowhere: list[Judgement] = []
    done = []
    for asked in rows:
        judged: list[Judgement] = []
        for one in asked.judgements:
            hits = _hits(one, wanted, found, problems)
            if hits is None and one.grade > 0:  # what is not relevant need not be there
                (nowhere if one.quote and (not one.document or one.loose or _known(one, found)) else lost).append(one)
            judged += hits or [one._replace(document=one.document or one.quote)]
        done.append(asked._replace(judgements=judged))
    nearest.dangling(lost, path, field, RETRAIN, problems)
    nearest.nowhere(nowhere, path, field, problems)
    return done, found


def _search(wanted: Wanted, path: Path) -> Found:
    """Walk the snapshot once."""
    found = Found()
    texts = [wanted.texts[number] for number in wanted.everywhere]
    finder = Finder(texts) if texts else None
    exact: dict[str, list[int]] = {}
    for number in wanted.everywhere:
        for words in spellings(wanted.texts[number]):
            exact.setdefault(words, []).append(number)
    batch: list[Page] = []
    size = 0
    for page in pages(path):
        found.documents += len(page.chunks)
        _note(page, wanted, found)
        if finder is not None:
            batch.append(page)
            size += len(page.text)
            if size >= AT_ONCE or len(batch) >= AT_ONCE >> 8:
                _everywhere(batch, finder, wanted, exact, found)
                batch, size = [], 0
    if finder is not None:
        _everywhere(batch, finder, wanted, exact, found)
    return found


def _note(page: Page, wanted: Wanted, found: Found) -> None:
    """What a page has of the ids that are named, and of the quotes that are looked for in it alone."""
    if page.id in wanted.names:
        before = found.pages[page.id].chunks if page.id in found.pages else []
        chunks = [*before, *(chunk._replace(text="") for chunk in page.chunks)]
        found.pages[page.id] = page._replace(title="", text="", chunks=chunks)
    for chunk in page.chunks:
        if chunk.id in wanted.names:
            found.rows[chunk.id] = page.id
        if wanted.roles and chunk.access is not None:
            found.access[chunk.id] = chunk.access
        if chunk.parent in wanted.names and chunk.parent != page.id:
            found.parents.add(chunk.parent)
    named = [(name, number) for name in dict.fromkeys((page.id, *(chunk.id for chunk in page.chunks)))
             for number in sorted(wanted.at.get(name, ()))]
    if not named:
        return
    text, ruler = collapsed(page.text), Ruler(page.text)
    for name, number in named:
        spans = inside(wanted.texts[number], text)
        if hits := list(dict.fromkeys(_hit(page, ruler.of(start), ruler.of(end - 1) + 1) for start, end in spans)):
            found.home[name, number] = hits


def _everywhere(
    batch: Sequence[Page], finder: Finder, wanted: Wanted, exact: Mapping[str, Sequence[int]], found: Found
) -> None:
    """The places of the quotes in some pages."""
    titles = [collapsed(page.title) for page in batch]
    bodies = [collapsed(page.text) for page in batch]
    for page, title, whole in zip(batch, titles, bodies, strict=True):
        for number in _equal(title, whole, exact):
            found.whole.setdefault(number, Places()).add(_hit(page, *_tight(page.text, 0)))
        for chunk in page.chunks if len(page.chunks) > 1 else ():
            for number in _equal(title, collapsed(chunk.text), exact):
                start, end = _tight(chunk.text[chunk.start - chunk.end :], chunk.start)
                found.chunks.setdefault(number, Places()).add(Hit(page.id, (chunk.id,), start, end))
    texts = [f"{title} {body}".strip() for title, body in zip(titles, bodies, strict=True)]
    rulers: dict[int, Ruler] = {}
    for place in sorted(finder.places(texts)):
        page = batch[place.text]
        ahead = len(titles[place.text]) + 1 if titles[place.text] else 0
        if place.end <= ahead:
            continue  # words of a title alone are no answer
        ruler = rulers.get(place.text) or rulers.setdefault(place.text, Ruler(page.text))
        hit = _hit(page, ruler.of(max(place.start - ahead, 0)), ruler.of(place.end - 1 - ahead) + 1)
        number = wanted.everywhere[place.quote]
        found.parts.setdefault(number, Places()).add(hit)


def _equal(title: str, body: str, exact: Mapping[str, Sequence[int]]) -> set[int]:
    """The quotes that are a text, with its title or without."""
    return {number for words in (body, f"{title} {body}".strip()) for number in exact.get(words, ())}


def _tight(text: str, start: int) -> tuple[int, int]:
    """The place of a text's words, without the white space around them, which another way of cutting leaves out."""
    words = text.strip()
    ahead = len(text) - len(text.lstrip()) if words else 0
    return start + ahead, start + ahead + (len(words) or len(text))


def _hit(page: Page, start: int, end: int) -> Hit:
    return Hit(page.id, tuple(overlapping(page, start, end)), start, end)


def overlapping(page: Page, start: int, end: int) -> Iterator[str]:
    """The chunks that share with a span at least half of the shorter of the two; there always is one."""
    for chunk in page.chunks:
        shared = min(end, chunk.end) - max(start, chunk.start)
        if shared > 0 and 2 * shared >= min(end - start, chunk.end - chunk.start):
            yield chunk.id


def _known(one: Judgement, found: Found) -> bool:
    return any(name in found.rows or name in found.pages for name in _spelt(one.document))


def _hits(one: Judgement, wanted: Wanted, found: Found, problems: Problems) -> list[Judgement] | None:
    """The judgement for each row of the snapshot that it means; None where it means none."""
    if one.quote:
        return _quoted(one, wanted, found, problems)
    for name in _spelt(one.document):
        if one.start >= 0:
            if (page := found.pages.get(name)) is not None:
                return _spanned(one, page, one.start, one.end, problems)
            if name in found.rows or name in found.parents:
                text = f"{name!r} is a part of a document, or was cut elsewhere: a span of it says no place"
                problems.add("input.span", text, one.where, "name the part itself as `positive`, or quote its words")
                return []
            continue
        span = SPAN.fullmatch(name)
        if name in found.rows:
            own = span and span[1] == found.rows[name]  # a chunk is the place that its id says, however it is cut later
            start, end = (int(span[2]), int(span[3])) if span and own else (-1, -1)
            return [one._replace(document=name, start=start, end=end)]
        if (page := found.pages.get(name)) is not None:  # a document that was cut: its whole text is the answer
            return _placed(one, Hit(page.id, tuple(c.id for c in page.chunks), 0, page.chunks[-1].end))
        if span and (page := found.pages.get(span[1])) is not None:  # a chunk of an earlier chunking
            return _spanned(one, page, int(span[2]), int(span[3]), problems)
    return None


def _spanned(one: Judgement, page: Page, start: int, end: int, problems: Problems) -> list[Judgement]:
    """The chunks at a place; one that is not in the document is noted."""
    length = page.chunks[-1].end
    if not start < end <= length:
        text = f"the span {start}-{end} is not in {page.id!r}, which has {count(length, 'character')}"
        problems.add("input.span", text, one.where, f"correct the span; {RETRAIN}")
        return []
    return _placed(one, Hit(page.id, tuple(overlapping(page, start, end)), start, end))


def _placed(one: Judgement, hit: Hit) -> list[Judgement]:
    return [one._replace(document=name, start=hit.start, end=hit.end, quote="") for name in hit.chunks]


def _quoted(one: Judgement, wanted: Wanted, found: Found, problems: Problems) -> list[Judgement] | None:
    """The places of a quote: in its document, where that is named and there, else wherever the words stand."""
    number = wanted.quotes[one.quote]
    for name in _spelt(one.document):
        if hits := found.home.get((name, number)):
            return [judgement for hit in hits for judgement in _placed(one, hit)]
    if one.document and not one.loose:
        return None
    named = _hits(one._replace(quote=""), wanted, found, problems) if one.document else None
    if len(collapsed(one.quote)) < NARROW and not named:
        text = f"a quote needs {NARROW} characters at least, found {one.quote.strip()!r}"
        problems.add("input.quote", text, one.where, "quote more of the answer, or name its document")
        return []
    # Documents that are the very words are one text, however often it is there: any of them will do. A chunk that is
    # them by itself is a place like others, or another way of cutting would make other answers of them.
    whole, chunks, parts = (kept.get(number, NONE) for kept in (found.whole, found.chunks, found.parts))
    hits = list(whole.all or chunks.all)[:MOST] if whole.all or parts.many else [*parts.all, *chunks.all]
    if not hits and parts.many:
        if named:
            return named
        text = f"the quote {nearest.short(one.quote)} is in more than {MOST} documents"
        problems.add("input.ambiguous", text, one.where, "quote more of the answer, or name its document beside it")
        return []
    return [judgement for hit in hits for judgement in _placed(one, hit)] or named
