"""Tokens are counted as the model reads them, and without torch."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, trainers
from tokenizers import pre_tokenizers as before

from embspec.stages import tokens
from embspec.stages.tokens import Tokens
from tests.retrieval.test_pieces import said, token
from tests.support.tiny import tiny_static, tiny_transformer

TEXT = "The PUMP is oiled, ünser ‘Möbel’ 日本 pumpvalve x" + "y" * 120


def settled(folder: Path, name: str, **values: object) -> Path:
    """The folder with other values in one of its settings."""
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


@pytest.mark.parametrize("config", [{}, {"do_lower_case": False}, {"strip_accents": False},
                                    {"tokenize_chinese_chars": False}])
def test_the_same_tokens_as_the_model_reads(config: dict[str, bool], tmp_path: Path) -> None:
    """Held against the library that the model is run with, whatever its config says beside its tokenizer."""
    from transformers import AutoTokenizer

    folder = settled(tiny_transformer(tmp_path), "tokenizer_config.json", **config)
    theirs = AutoTokenizer.from_pretrained(str(folder)).backend_tokenizer
    assert Tokens(folder).count(TEXT) == len(theirs.encode(TEXT).ids)


def test_marks_and_prompt_are_counted(tmp_path: Path) -> None:
    """Of a transformer [CLS] and [SEP]; of a table no marks, for it has no rows for them."""
    prompts = {"query": "", "document": "of the pump: "}
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    one = settled(tiny_transformer(tmp_path / "1"), "config_sentence_transformers.json", prompts=prompts)
    other = settled(tiny_static(tmp_path / "2"), "config_sentence_transformers.json", prompts=prompts)
    assert (Tokens(one).count("oil"), Tokens(other).count("oil")) == (2 + 4 + 1, 4 + 1)
    assert (Tokens(one).longest, Tokens(other).longest) == (64, None)


def test_lower_case_is_the_models_own(tmp_path: Path) -> None:
    """A model that makes small letters of all before its tokenizer has another count."""
    folder = settled(tiny_transformer(tmp_path), "tokenizer_config.json", do_lower_case=False)
    before = Tokens(folder).count("PUMP OIL")
    after = Tokens(settled(folder, "sentence_bert_config.json", do_lower_case=True)).count("PUMP OIL UNKNOWN")
    assert before == 4 and after > 5


def test_nothing_is_cut_off(tmp_path: Path) -> None:
    """A tokenizer that was saved with a length counts all the same: else every text would be short enough."""
    folder = tiny_transformer(tmp_path)
    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words.enable_truncation(8)
    words.enable_padding(length=300)
    words.save(str(folder / "tokenizer.json"))
    assert Tokens(folder).count("oil " * 100) == 102
    assert len(Tokens(folder).starts("oil " * 100)) == 100


def test_starts_are_in_order_however_long_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text goes through in parts that are cut at white space, and the starts are those of the whole."""
    found = Tokens(tiny_static(tmp_path))
    text = "water 日本 oil, gas\n" * 50
    whole = found.starts(text)
    monkeypatch.setattr(tokens, "PIECE", 37)
    assert list(found.starts(text)) == list(whole) == sorted(whole) and len(whole) == 250
    assert len(found.starts("x" * 100)) == 3


def trained(model: str, before: Any, normalizer: Any = None, added: Sequence[str | AddedToken] = ()) -> Tokenizer:
    """A small tokenizer of one of the kinds that models bring."""
    kind, trainer = MODELS[model]
    words, more = Tokenizer(kind()), {"unk_token": "?"} if model == "unigram" else {}
    if before is not None:
        words.pre_tokenizer = before
    if normalizer is not None:
        words.normalizer = normalizer
    words.train_from_iterator([TEXT, "the pump and the pumps of the motor " * 3], trainer(
        vocab_size=120, special_tokens=["?"], show_progress=False, **more))
    words.add_tokens(list(added))
    return words


MODELS: Any = {"bpe": (lambda: models.BPE(unk_token="?"), trainers.BpeTrainer),
               "unigram": (models.Unigram, trainers.UnigramTrainer),
               "wordpiece": (lambda: models.WordPiece(unk_token="?"), trainers.WordPieceTrainer)}
RUNS = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])
KINDS = {
    "bert": lambda: trained("wordpiece", before.BertPreTokenizer(), normalizers.BertNormalizer()),
    "roberta": lambda: trained("bpe", before.ByteLevel(add_prefix_space=True)),
    "modernbert": lambda: trained("bpe", before.ByteLevel(add_prefix_space=False), normalizers.NFC(), ["  ", "   "]),
    "bert with a word": lambda: trained("wordpiece", before.BertPreTokenizer(), normalizers.BertNormalizer(), ["pump"]),
    "xlm-r with a word": lambda: trained("unigram", before.Sequence([before.WhitespaceSplit(), before.Metaspace()]),
                                         RUNS, [AddedToken("pump", lstrip=True, rstrip=True)]),
    "xlm-r": lambda: trained("unigram", before.Sequence([before.WhitespaceSplit(), before.Metaspace()]), RUNS),
    "potion": lambda: Tokenizer.from_str(json.dumps(said())),
    "bge-m3": lambda: trained("unigram", before.Metaspace(), RUNS, ["<mask>"]),
}
UNKNOWN = {
    "of any split": lambda: trained("bpe", before.Split(Regex("p "), "isolated")),
    "of the first word": lambda: trained("unigram", before.Metaspace(prepend_scheme="first")),
    "with no split": lambda: trained("bpe", before.Metaspace(split=False)),
    "of other letters": lambda: trained("bpe", before.Whitespace(), normalizers.Replace("e t", "x")),
    "of two words": lambda: trained("bpe", before.Whitespace(), None, ["the pump"]),
    "of a word behind a mark": lambda: trained("unigram", before.Metaspace(), RUNS, ["pump"]),
    "of a word between marks": lambda: Tokenizer.from_str(json.dumps(said(added_tokens=[token("ab")]))),
    "of a word in bytes": lambda: trained("bpe", before.ByteLevel(add_prefix_space=False), None, [
        AddedToken("pump", rstrip=True)]),
    "of a blank": lambda: trained("bpe", before.Whitespace(), None, [" "]),
    "with none": lambda: trained("bpe", None),
}
WRITTEN = st.lists(st.sampled_from((
    *TEXT.split(" "), "\n", "  ", "\t", "\u0301x", "\u037a", "\u00a0", "?", "<mask>", "12", "don't",
    "\u0431\u0430\u043a", " \n ", "e\u0301", ".", "",
)), max_size=40).map(" ".join)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_is_counted_in_parts(kind: str) -> None:
    """For the kinds of tokenizers that models have: the tokens of the parts are those of the whole."""
    words = KINDS[kind]()
    at = tokens.edge(words.to_str())
    assert at is not None

    @settings(max_examples=60, derandomize=True, deadline=None)
    @given(WRITTEN, st.sampled_from((1, 7, 30)))
    @example(TEXT + " and the pump of the motor" * 9, 20)
    def holds(text: str, size: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tokens, "PIECE", size)
            parts = list(tokens.apart(text, at))
        assert sum(len(words.encode(part).ids) for part in parts) == len(words.encode(text).ids), parts
        assert len(parts) > 5 or not text.endswith("and the pump of the motor")

    holds()


@pytest.mark.parametrize("kind", UNKNOWN)
def test_where_parts_might_count_otherwise_a_text_is_taken_whole(kind: str) -> None:
    """A tokenizer that may see over a blank has no place to cut."""
    assert tokens.edge(UNKNOWN[kind]().to_str()) is None


@pytest.mark.parametrize("make", [tiny_static, tiny_transformer])
def test_no_part_is_much_longer_than_it_may_be(make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes through the tokenizer at once is bounded, with the marks and the prompt counted once."""
    folder = settled(make(tmp_path), "config_sentence_transformers.json", prompts={"document": "of the pump: "})
    found, text = Tokens(folder), "water \u65e5\u672c oil, gas\nthe pump " * 200
    whole, seen = found.counts(["oil", text, "gas"]), list[int]()
    monkeypatch.setattr(tokens, "PIECE", 100)
    plain = Tokens._sizes
    monkeypatch.setattr(Tokens, "_sizes", lambda self, some, marks: seen.extend(map(len, some)) or plain(
        self, some, marks))
    assert found.counts(["oil", text, "gas"]) == whole and len(seen) > 50 and max(seen) < 150


def test_no_torch(tmp_path: Path) -> None:
    """Neither a table nor a transformer needs it: what is wrong with a corpus is said without it."""
    code = "import sys; from pathlib import Path; from embspec.stages.tokens import Tokens; " \
           "Tokens(Path(sys.argv[1])).count('oil'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(tiny_transformer(tmp_path))], check=False).returncode == 0
