"""What the files of a folder are: documents, questions, or neither."""
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from embspec.errors import Problem, fail
from embspec.init import documents, globs, pairs
from embspec.init.documents import Corpus, Left, Survey
from embspec.init.folder import ROWS, Folder, Table, is_tools, table
from embspec.init.pairs import Source
from embspec.stages.corpus.readers import READERS
from embspec.stages.reading import count, ending

CORPUS = "corpus.jsonl"


class Seen(NamedTuple):
    """What the files of a folder are, by what stands in them."""

    pages: list[str]  # files that are one document each
    faqs: dict[str, int]  # YAML files of questions and answers
    tables: dict[str, Table]  # files of rows
    beir: pairs.Beir | None
    sets: list[str]  # data sets of LlamaIndex
    models: list[str]  # folders that hold a model
    left: list[Left]

    @property
    def told(self) -> list[Table]:
        """The tables whose rows are documents; those of a BEIR folder alone, where there is one."""
        inner = [self.tables[self.beir.path + CORPUS]] if self.beir and self.beir.path + CORPUS in self.tables else []
        return inner or [found for found in self.tables.values() if found.rows and not pairs.is_asked(found)]

    @property
    def asked(self) -> list[Table]:
        """The tables whose rows are questions."""
        return [found for found in self.tables.values() if found.rows and pairs.is_asked(found)]


def seen(whole: Folder) -> Seen:
    """Sort the files."""
    found = pairs.beir_folders(whole)
    beir = found[0] if found else None
    left = [Left(one.path.rstrip("/"), "a BEIR folder of its own: it wants a spec of its own") for one in found[1:]]
    left += [Left(name if name.isprintable() else ascii(name), why) for name, why in whole.barred.items()
             if not is_tools(name)]
    models = sorted(name.removesuffix("/modules.json") for name in whole.names() if name.endswith("/modules.json"))
    taken = [one.path for one in found if one is not beir or one.path + CORPUS in whole.names()]
    inside = [*taken, *(f"{model}/" for model in models)]
    rest = Folder(whole.base, [name for name in whole.names() if not name.startswith(tuple(inside))])
    if beir and taken:
        left += _beside(whole, beir, models)
    inner = [beir.path + CORPUS] if beir and beir.path + CORPUS in whole.names() else []
    rows = [name for name in rest.names() if ending(name) in ROWS and not is_tools(name)
            and not (beir and name.startswith(beir.path) and name[len(beir.path):].startswith(("queries.", "qrels/")))]
    tables = {name: table(whole, name) for name in [*inner, *rows]}
    left += [Left(name, one.problem.text) for name, one in tables.items() if not one.rows and one.problem]
    pages, aside, empty = documents.whole_files(rest)
    if aside and len(globs.covering(pages, whole.there)) > globs.MOST:
        pages, aside = sorted([*pages, *aside]), []  # no few paths leave them out
    left += [*empty, *(Left(name, "by its name it is no document") for name in aside)]
    return Seen(pages, documents.faq_files(rest), tables, beir, pairs.llamaindex_files(rest), models, left)


def _beside(folder: Folder, beir: pairs.Beir, models: Sequence[str]) -> list[Left]:
    """Documents that lie in a BEIR folder beside its own."""
    apart = tuple(f"{model}/" for model in models)
    below = [name for name in folder.names() if name.startswith(beir.path) and not name.startswith(apart)]
    pages, _, _ = documents.whole_files(Folder(folder.base, below))
    why = f"the judgements are of {beir.path}{CORPUS}, and these would be further documents"
    return [Left(count(len(pages), "file") + f" below {beir.path or './'}", why)] if pages else []


def corpus_of(found: Seen, folder: Folder) -> Corpus:
    """The documents; where there are none but answers in a table, these."""
    rows, fields, left = documents.in_rows(found.told, folder)
    found.left.extend(left)
    if not rows and not found.pages and not found.faqs:
        rows, fields, _ = documents.in_rows(found.asked, folder)
    files = [*found.pages, *found.faqs, *rows]
    if not files:
        why = "; ".join(f"{one.what}: {one.why}" for one in found.left[:5])
        raise fail("input.no-documents", "there are no documents here" + (f" ({why})" if why else ""),
                   fix=f"endings that are read: {', '.join(READERS)}")
    corpus = Corpus(tuple(sorted(files)), fields)
    return corpus._replace(metadata=documents.metadata(corpus, found.tables, folder))


def sought(asked: Sequence[Table]) -> tuple[set[str], set[str]]:
    """The values of the tables that may be ids, and those that may be words of a document."""
    looked = [pairs.tried(one) for one in asked if not pairs.shaped(one)]
    return ({value for one in looked for values in one.ids.values() for value in values},
            {value for one in looked for values in one.quotes.values() for value in values})


def readable(corpus: Corpus, survey: Survey, folder: Folder) -> tuple[Corpus, list[Left]]:
    """The corpus without the files that cannot be read, as far as a few paths can say that."""
    bad: dict[str, Problem] = {}
    for problem in survey.problems:
        if problem.where and ending(problem.where.file) not in ROWS:
            bad.setdefault(problem.where.file, problem)
    for end in {ending(name) for name, problem in bad.items() if problem.code == "nowhere.package"}:
        lacking = next(problem for name, problem in bad.items() if ending(name) == end)
        bad |= {name: lacking for name in corpus.files if ending(name) == end}
    files = tuple(name for name in corpus.files if name not in bad)
    if not bad or not files or len(globs.covering(files, folder.there)) > globs.MOST:
        return corpus, []
    packages = Counter(f"{p.text}: {p.fix}" for p in bad.values() if p.code == "nowhere.package")
    left = [Left(count(number, "file"), why) for why, number in sorted(packages.items())]
    left += [Left(name, p.text) for name, p in sorted(bad.items()) if p.code != "nowhere.package"]
    return corpus._replace(files=files), left


def sources(seen: Seen, survey: Survey, corpus: Corpus, folder: Folder) -> tuple[list[Source], list[Left]]:
    """Every source of pairs, with headings as the last; and what looks like one and is none."""
    found = Sources()
    left: list[Left] = []
    if seen.beir:
        found.extend(pairs.of_beir(seen.beir))
        left += [Left(f"{seen.beir.path}qrels/{name}.tsv", why) for name, why in pairs.unused(seen.beir)]
    pages = {name: number for name, number in pairs.markdown_faqs(folder, seen.pages).items() if name in corpus.files}
    for faqs, about in ((seen.faqs, "questions and their answers"), (pages, "headings that are questions")):
        kept = {name: number for name, number in faqs.items() if name in corpus.files}
        for path in globs.covering(list(kept), folder.there) if kept else ():
            rows = sum(kept[name] for name in globs.matched(path, list(kept)))
            found.add("faq", path, Source("", path, "faq", about=about, rows=rows))
    for name in seen.sets:
        found.add(name, name, Source("", globs.literal(name), about="a data set of LlamaIndex"))
    for one in seen.asked:
        form = pairs.shaped(one)
        fields = {} if form else pairs.fields_of(one, survey.named, survey.quoted)
        if fields is None:
            why = f"none of its columns names a document or quotes one; looked at: {', '.join(one.columns[:8])}"
            left.append(Left(one.name, why))
        else:
            about = f"pairs in the form of {form}" if form else ""
            found.add(one.name, one.name, Source("", globs.literal(one.name), fields=fields, about=about,
                                                 rows=_lines(folder, one.name)))
    if any(ending(name) == ".md" for name in corpus.files):
        about = "weak pairs: each heading asks for the text below it"
        found.add("headings", "", Source("", "", trust="synthetic", about=about, headings=True))
    return found, left


class Sources(list[Source]):
    """Sources, each with a name of its own, and with the trust that its path speaks of."""

    def add(self, called: str, path: str, source: Source) -> None:
        """One more."""
        trust, roles = pairs.hinted(path)
        name = pairs.name_of(called, [one.name for one in self])
        self.append(source._replace(name=name, trust=source.trust or trust, roles=source.roles or roles))


def _lines(folder: Folder, name: str) -> int:
    with folder.open(name) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
