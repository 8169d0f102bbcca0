"""Words counted block by block: the same whatever the desk knows, and little anew after an edit."""
from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.retrieval.bags import Bags, Heap, Postings, packed, unpacked
from embspec.retrieval.tokenize import SPELLS, layers, tokenizer
from embspec.stages import counted as module
from embspec.stages.counted import Counted
from embspec.stages.lexical.make import make
from embspec.stages.snapshot import lexical
from tests.support.benches import lines, params, question
from tests.support.desk import Bank, Desk

WORDS = ("E-1042,", "getHTTP", "the", "pumps", "Pump.", "日本語の", "ﬁne", "e\u0301t\u00e9", "\ud800x", "...", "v2.1.3")
TEXTS = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=12)
SAID = ({"tokenizer": "words", "language": "english", "stem": True}, {"tokenizer": "words", "language": "none"},
        *({"tokenizer": name} for name in SPELLS))


def counts(bags: Bags) -> list[Counter[str]]:
    """The tokens of each document."""
    names = list(bags.numbers)
    found = [Counter[str]() for _ in range(bags.size)]
    for token, document, times in zip(*(each.tolist() for each in bags.postings()), strict=True):
        found[document][names[token]] += times
    return found


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, other=TEXTS, usual=st.sampled_from([1, 3, 128]), most=st.sampled_from([2, 1024]),
       said=st.sampled_from(SAID), some=st.booleans())
def test_a_desk_changes_nothing(
    texts: list[str], other: list[str], usual: int, most: int, said: dict[str, Any], some: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Empty, warm, or warmed by other texts: the tokens of each text as its tokenizer has them, counted once."""
    tokenize, (plain, spell) = tokenizer(said), layers(said)
    only = set(tokenize("the pumps E-1042 日本")) if some else None
    bank = Bank()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_USUAL", usual)
        patch.setattr(module, "_MANY", most)
        for given_ in (other, [*other[:2], *texts], texts, texts):
            before, bags = bank.adds, Bags(spell, only)
            for found in Counted(Desk(tmp_path_factory.mktemp("desk"), bank=bank), [plain]).heaps(given_):
                bags.add(found[plain])
    each = [tokenize(text) for text in texts]
    kept = [[token for token in tokens if only is None or token in only] for tokens in each]
    assert (counts(bags), bags.lengths.tolist()) == ([*map(Counter, kept)], [*map(len, each)])
    assert bank.adds == before


def test_a_changed_text_has_its_own_block_counted_anew(tmp_path: Path) -> None:
    """Of a thousand texts one that is changed, added or taken out makes two blocks at most be counted again."""
    bank = Bank()

    def fresh(texts: list[str]) -> int:
        before = bank.adds
        for _ in Counted(Desk(tmp_path, bank=bank), ["simple"]).heaps(texts):
            pass
        return bank.adds - before

    texts = [f"text {number} of them" for number in range(1000)]
    assert 3 < fresh(texts) < 40
    changes = [*texts[:500], "another", *texts[501:]], [*texts[:300], "new", *texts[300:]], texts[:700] + texts[701:]
    for changed in changes:
        assert 1 <= fresh(changed) <= 2
        assert fresh(changed) == 0


def test_long_texts_make_small_blocks_that_stay_where_they_are() -> None:
    """Whole manuals too: what is put in, or taken out, moves two blocks at most, none of them of many letters."""
    texts = [f"{number} {'manual ' * (1000 + 5003 * number % 12_000)}" for number in range(200)]
    before = {name for _, name in module._blocks(texts)}
    assert len(before) > 5
    for at in range(0, 200, 20):
        for changed in ([*texts[:at], "new", *texts[at:]], texts[:at] + texts[at + 1 :]):
            fresh = [block for block, name in module._blocks(changed) if name not in before]
            assert len(fresh) <= 2 and sum(len(text) for block in fresh for text in block) < 1 << 21


def test_rows_are_written_as_they_always_were() -> None:
    """A bank outlives a version of embspec: who writes rows in another way has to name their space otherwise."""
    heap = Heap(["a", "é"], Postings(*(np.array(each, np.int32) for each in ([0, 1, 1], [0, 0, 2], [1, 300, 2]))), 3)
    row = packed(heap)
    assert row.hex() == (
        "03000000" "03000000" "04000000" "01" "02" "6120c3a9" "02000000" "00000000" "01000000" "000101" "01002c010200")


@pytest.mark.parametrize("wide", [3, 300, 70_000])
def test_rows_hold_any_number(wide: int) -> None:
    """Numbers and counts of one, two and four bytes are read as they were written."""
    places = np.arange(wide, dtype=np.int32)
    heap = Heap([f"t{n}" for n in range(wide)], Postings(places, places // 7, places + 1), wide // 7 + 3)
    again = unpacked(packed(heap))
    assert (again.chunks, again.size) == (heap.chunks, heap.size)
    assert all(np.array_equal(one, other) and one.dtype == other.dtype
               for one, other in zip(again.postings, heap.postings, strict=True))


def test_no_documents_and_no_words() -> None:
    """Texts without a word are texts all the same."""
    for size in (0, 3):
        empty = np.zeros(0, np.int32)
        again = unpacked(packed(Heap([], Postings(empty, empty, empty), size)))
        assert (again.chunks, again.size, len(again.postings.token)) == ([], size, 0)


def test_stages_count_once_together(tmp_path: Path) -> None:
    """What `lexical` counted is not counted by those that rank with its tokenizer, and scores are equal to the bit."""
    texts = {f"d{n}": f"valve PX-{n % 9} of the pump {n}" for n in range(60)}
    documents = lines(tmp_path / "documents.jsonl", (
        {"id": id, "title": None, "text": text} for id, text in sorted(texts.items())))
    asked = [question("q1", "pump 7 valve", "d7"), question("q2", "PX-3", "d3")]
    needs = {"snapshot/documents.jsonl": documents, "snapshot/manifest": tmp_path / "manifest",
             "split/validation.jsonl": lines(tmp_path / "validation.jsonl", asked)}
    needs["snapshot/manifest"].write_text("".join(f"{id}\t{id}\n" for id in sorted(texts)), encoding="utf-8")
    auto = params(eval__bm25__tokenizer="auto", eval__bm25__language="auto", eval__bm25__stem=True)
    bank, out = Bank(), tmp_path / "out"
    out.mkdir()
    make(auto, needs, out, Desk(tmp_path / "a", bank=bank))
    said, adds = json.loads((out / "tokenizer.json").read_bytes()), bank.adds
    questions = [row["query"] for row in asked]
    warm = lexical(documents, said, auto, questions, Desk(tmp_path / "b", bank=bank))
    cold = lexical(documents, said, auto, questions, Desk(tmp_path / "c"))
    assert bank.adds == adds > 0
    assert [warm.hits(text, (), 10) for text in questions] == [cold.hits(text, (), 10) for text in questions]
