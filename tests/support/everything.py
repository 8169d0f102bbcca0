"""Specs that together write every field there is, in every variant."""

from __future__ import annotations

_LOSS = """\
  guard: {relative_margin: 0.05, absolute_margin: null, max_score: null, cross_encoder: null, exclude: [positives]}
  on_shortage: keep
  rounds: 1
loss:
  name: CachedMultipleNegativesRankingLoss
  scale: 20.0
  mini_batch_size: auto
  directions: [query_to_doc]
  hardness_mode: null
"""
_TRAIN = """\
  regularize: {merge_with_base: 0.7}
train:
  num_train_epochs: 1
  per_device_train_batch_size: 128
  learning_rate: auto
  warmup_steps: 0.1
  lr_scheduler_type: linear
  weight_decay: 0.0
  batch_sampler: no_duplicates
  precision: fp32
  early_stopping: {patience: 3, metric: ndcg@10}
  load_best_model_at_end: true
  evals_per_epoch: auto
"""

BASE = (
    """embspec: 1
name: base
version: 1.0.0
description: a base
seed: 42
risk: standard
model:
  base: ./base
  revision: auto
  trust_remote_code: false
  max_seq_length: 64
  similarity_fn_name: cosine
  prompts: {query: "q: ", document: "d: "}
corpus:
  path: docs/*.jsonl
  fields: {id: a, text: b, title: c, document: d}
  metadata: [kind]
  chunking: {strategy: none}
  train_on: snapshot
  normalize: nfc
  dedup: {exact: true}
pairs:
  - {name: gold, path: gold.csv, format: csv, qrels: test, trust: gold, roles: [test, validation], fields: {query: q}}
  - {name: faq, path: faq.jsonl, trust: curated, roles: [train]}
split:
  by: document
  on_leak: error
  near_duplicate_threshold: 0.9
  test: 0.5
  validation: 0.3
  freeze: true
  min_queries: {test: 5, validation: 5}
negatives:
  miners:
    - {kind: dense, model: base, num_negatives: 4, window: {range_min: 0, range_max: 100}, sampling_strategy: top}
    - {kind: bm25, num_negatives: 2, window: {range_min: 0, range_max: 50}}
"""
    + _LOSS
    + "  matryoshka: {dims: [32, 16], weights: [1, 1], n_dims_per_step: -1}\n"
    + _TRAIN
    + """numerics: {profile: auto, threads: auto, device: auto}
eval:
  metrics: [recall@10, ndcg@10]
  dims: [32]
  precisions: [float32]
  fusion: {method: auto}
  suites: {domain: {split: test}}
  systems: [base, bm25, tuned]
  bm25: {tokenizer: words, language: auto, stem: true, k1: 1.2, b: 0.75}
  statistics: {test: paired_bootstrap, resamples: 1000, cluster: document}
gates:
  - recall@10 >= base + 0.05 @95
export: {onnx: {opset: 17, int8: {per_channel: true}}, golden_vectors: 32}
index: {truncate_dim: 16, precision: float32}
keys: {env: record}
"""
)

_HEAD = "embspec: 1\ncorpus: {path: docs/*.jsonl}\n"
_GOLD = "pairs: [{name: gold, path: gold.jsonl, trust: gold}]\n"

VARIANTS: dict[str, str] = {
    "base": BASE,
    "model": _HEAD
    + _GOLD
    + """model:
  base: intfloat/e5-small
  revision: auto
  trust_remote_code: false
  max_seq_length: 512
  similarity_fn_name: cosine
  prompts: {query: "q: ", document: "d: "}
  method: lora
  lora: {r: 16, lora_alpha: 32, lora_dropout: 0.05, target_modules: auto, merge: true}
  candidates: [thenlper/gte-base]
labels: {noise_score: cross_encoder, drop_below: 0.1, review: reviews.csv, teacher: {cross_encoder: org/name}}
negatives:
  miners:
    - {kind: dense, model: base, num_negatives: 4, window: {range_min: 0, range_max: 100}, sampling_strategy: top}
    - {kind: file, path: hard.jsonl}
"""
    + _LOSS
    + "  matryoshka: {dims: [384, 192], weights: [1, 1], n_dims_per_step: -1}\n"
    + _TRAIN
    + """  multi_dataset_batch_sampler: proportional
  checkpoint_minutes: 5
  world_size: 1
  max_seconds: null
  args: {adam_beta1: 0.9}
numerics: {profile: auto, threads: auto, device: auto}
eval:
  dims: [384]
  precisions: [float32]
  fusion: {method: auto}
  reranker: org/reranker
  slices: [language]
  runs: {vendor: runs/vendor.trec}
  suites: {ood: {beir: data/ood}, fresh: {path: fresh.jsonl}, answers: {command: score.py, metrics: [faithfulness]},
           pages: {split: test, by: document}}
export: {onnx: {opset: 17, int8: {per_channel: true}}, golden_vectors: 32}
index:
  truncate_dim: {smallest: {metric: ndcg@10, min_retention: 0.99}}
  precision: float32
  keep_versions: 2
  sinks: [{name: prod, kind: pgvector, url: env:DB, table: t}]
retrain_when: [corpus_changed > 0.2]
advise: {min_pairs: 1000, tune_below: 0.7, skip_above: 0.9, hybrid_closes: 0.8, min_documents: 500}
prices: {gpu_hour: 2.0, llm_mtok: 0.5}
remote: {url: store, read: all, write: ci}
""",
    "static": _HEAD
    + _GOLD
    + "model: {base: {static: {weights: 'package:a/b.safetensors', tokenizer: 'package:a/t.json'}}}\n",
    "vectors": _HEAD
    + _GOLD
    + """model:
  base:
    vectors:
      documents: d.safetensors
      queries: q.safetensors
      endpoint: {kind: openai_compatible, base_url: env:URL, api_key: env:KEY, model: m}
  method: query_adapter
  query_adapter: {kind: linear, init: identity, bias: false}
""",
    "sources": """embspec: 1
corpus:
  path: docs/*.jsonl
  chunking: {strategy: structure, tokens: 256, overlap: 32, context: {command: "ctx.py", tokens: 64}}
  dedup: {near: 0.9}
  max_truncated_fraction: 0.02
  keep_raw: false
pairs:
  - {name: gold, path: gold.jsonl, trust: gold}
  - name: synth
    generate:
      provider: {kind: openai_compatible, base_url: env:URL, api_key: env:KEY, model: m}
      prompt: prompts/q.md
      queries_per_chunk: 3
      chunks_sample: 8000
      types: {factual: 2}
      style_examples: gold
      budget: {requests: 30000, usd: 20}
      save: answers.jsonl
    filter:
      dedup: {similarity: 0.9}
      roundtrip: {retriever: base, top_k: 10}
      judge: {min_score: 7, scale: 10}
      max_overlap: 0.8
    trust: synthetic
    weight: 1.0
  - {name: heads, from: headings}
  - {name: told, generate: {provider: {kind: command, command: "gen.py"}}, trust: synthetic}
  - {name: again, generate: {provider: {kind: replay, path: answers.jsonl}}, trust: synthetic}
  - name: clicks
    click_log: {path: c.jsonl, fields: {query: q, shown: s, clicked: c, position: p, dwell: d}}
    debias: {model: pbm, propensity: {estimate: em, eta: 1.0}, clip: 10, min_impressions: 5, min_dwell_s: 10}
    trust: implicit
labels: {teacher: {scores: scores.jsonl}}
split: {by: time, time_column: at}
""",
    "sentences": _HEAD.replace("}", ", chunking: {strategy: sentences, n: 5}}") + _GOLD,
}
"""By what they are about; each is a valid spec, built or not."""
