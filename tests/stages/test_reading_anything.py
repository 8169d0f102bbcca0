"""Whatever lies in a file, a reading stage gives artefacts or problems with codes, never another exception."""
from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.stages.corpus.make import make as corpus
from embspec.stages.pairs.make import make as pairs
from tests.support.trees import MemoryTree, run

# Pieces that the formats give a meaning to, so that random files get past the first line.
PIECES = [
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"\r", b"\t", b";", b"---\n", b"# ", b"\\ud800", b"\xff", b"\0"),
    *(b'{"id": "1", "text": "x"}', b'{"query": "q", "positive": "1"}', b'"positives": [{"id": 1, "grade": '),
    *(b'{"id": "1", "text": "x", "title": ', b'{"query": "q", "positive": "1", "filter": {"a": '),
    *(b"id,text\n", b"query,positive\n", b"1", b"1e999", b"NaN", b"null", b"title: ", b"- ", b"&a", b"*a", b"!!set"),
]
FILES = st.dictionaries(
    st.sampled_from(["a.jsonl", "b.csv", "c.tsv", "d.md", "e", "queries.jsonl", "qrels/x.tsv"]),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=12).map(b"".join),
    max_size=3,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(FILES, st.sampled_from(["auto", "embspec", "csv", "beir"]))
def test_anything_is_read_or_refused(files: dict[str, bytes], form: str) -> None:
    """Random files give artefacts, or problems of the family `input` with texts."""
    with TemporaryDirectory() as name:
        snapshot = Path(name) / "documents.jsonl"
        snapshot.write_text('{"id":"1","title":"","text":"x","document":null,"metadata":{}}\n')
        needs = {"live": MemoryTree(files), "snapshot/documents.jsonl": snapshot}
        for make, params in (
            (corpus, {"corpus.path": ["**/*"], "corpus.metadata": ["title"]}),
            (pairs, {"name": "x", "pairs.path": "**/*", "pairs.format": form}),
        ):
            try:
                run(make, Path(name), params, needs)
            except EmbspecError as error:
                assert all(problem.code.startswith("input.") and problem.text for problem in error.problems)
                str(error).encode()
