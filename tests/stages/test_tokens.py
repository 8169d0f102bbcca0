"""Tokens are counted as the model reads them, and without torch."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from embspec.stages import tokens
from embspec.stages.tokens import Tokens
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


def test_no_torch(tmp_path: Path) -> None:
    """Neither a table nor a transformer needs it: what is wrong with a corpus is said without it."""
    code = "import sys; from pathlib import Path; from embspec.stages.tokens import Tokens; " \
           "Tokens(Path(sys.argv[1])).count('oil'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, str(tiny_transformer(tmp_path))], check=False).returncode == 0
