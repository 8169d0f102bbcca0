"""Small projects from nothing but a generator: documents, questions and a base of few weights."""
from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

HERE = Path(__file__).parent
SPEC = """embspec: 1
name: tiny
model:
  base: {base}
corpus:
  path: docs/*.md
pairs:
  - {{name: gold, path: gold.jsonl, trust: gold, roles: [test, validation]}}
  - {{name: train, path: train.jsonl, trust: curated}}
split:
  test: 0.6
  validation: 0.3
  min_queries: {{test: 5, validation: 3}}
negatives:
  miners:
    - {{kind: dense, num_negatives: 1, window: {{range_max: 20}}}}
    - {{kind: bm25, num_negatives: 1, window: {{range_max: 20}}}}
loss:
  mini_batch_size: 8
  matryoshka: {{dims: [32, 16]}}
train:
  num_train_epochs: {epochs}
  per_device_train_batch_size: 8
  learning_rate: 0.001
  checkpoint_minutes: {minutes}
numerics: {{threads: 2}}
eval:
  metrics: [recall@5, ndcg@10]
  statistics: {{resamples: 200}}
gates:
  - recall@5 of bm25 >= 0.1
index: {{truncate_dim: 16}}
"""
BASES = {
    "static": "{static: {weights: base/weights.safetensors, tokenizer: base/tokenizer.json}}",
    "transformer": "./base",
}
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WIDTH, SENTENCE = 32, 12


def tiny(project: Path, kind: str, documents: int = 40, epochs: int = 2, minutes: float = 5.0) -> str:
    """Write a project with a static table or a two-layer transformer with dropout as its base; its spec."""
    specs, drawn = project / "specs", random.Random(3)
    (specs / "docs").mkdir(parents=True)
    words = sorted({"".join(drawn.choices("abdefgiklmnoprstu", k=drawn.randint(3, 8))) for _ in range(600)})
    gold, train = [], []
    for number in range(documents):
        name, some = f"docs/{number:03}.md", drawn.sample(words, 30)
        sentences = [" ".join(drawn.choices(some, k=SENTENCE)) for _ in range(6)]
        (specs / name).write_text(f"# {some[0]} {some[1]}\n\n" + ".\n".join(sentences) + ".\n", encoding="utf-8")
        rows = gold if number % 2 else train
        rows += [{"query": " ".join(drawn.sample(s.split(), 5)), "positive": name} for s in sentences]
    for path, rows in (("gold.jsonl", gold[::3]), ("train.jsonl", train)):
        (specs / path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (static_base if kind == "static" else transformer_base)(specs / "base", words)
    text = SPEC.format(base=BASES[kind], epochs=epochs, minutes=minutes)
    (specs / "tiny.yaml").write_text(text, encoding="utf-8")
    return "specs/tiny.yaml"


def handbook(project: Path, minutes: float = 5.0) -> str:
    """The demo as it ships, without its lock; its spec."""
    shutil.copytree(HERE.parent / "specs", project / "specs", ignore=shutil.ignore_patterns("*.lock", "*-*.yaml"))
    spec = project / "specs/handbook.yaml"
    text, old = spec.read_text(encoding="utf-8"), "train: {num_train_epochs: 3"
    assert text.count(old) == 1, "the demo's spec has another line for its training by now"
    spec.write_text(text.replace(old, f"{old}, checkpoint_minutes: {minutes}"), encoding="utf-8")
    return "specs/handbook.yaml"


def static_base(folder: Path, words: list[str]) -> None:
    """A table of one vector a word, and the tokenizer beside it."""
    import numpy as np
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    folder.mkdir(parents=True)
    table = np.random.default_rng(0).standard_normal((len(words) + 1, WIDTH)).astype(np.float32)
    save_file({"embedding.weight": table}, folder / "weights.safetensors")
    known = {word: at for at, word in enumerate(("[UNK]", *words))}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def transformer_base(folder: Path, words: list[str]) -> None:
    """A BERT of two layers, dropout and all, as sentence-transformers saves it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    known = dict.fromkeys((*SPECIALS, *letters, *("##" + letter for letter in letters), *".,#", *words))
    plain = folder.parent / "plain"
    plain.mkdir(parents=True)
    (plain / "vocab.txt").write_text("\n".join(known) + "\n", encoding="utf-8")
    BertTokenizerFast(str(plain / "vocab.txt")).save_pretrained(str(plain))
    shape = BertConfig(vocab_size=len(known), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4,
                       intermediate_size=2 * WIDTH)
    BertModel(shape).save_pretrained(str(plain))
    model = Transformer(str(plain), max_seq_length=64)
    SentenceTransformer(modules=[model, Pooling(WIDTH, "mean"), Normalize()], device="cpu").save(str(folder))
    shutil.rmtree(plain)
