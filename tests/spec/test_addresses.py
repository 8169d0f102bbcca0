"""Addresses where a spec names files: what is fetched, and what may not stand in one."""

from __future__ import annotations

import pytest

from embspec.errors import Where
from embspec.spec.addresses import address_problem
from tests.spec.conftest import Specs

CORPUS = "embspec: 1\ncorpus: {{path: '{}'}}\n"


@pytest.mark.parametrize("address", [
    "https://data.example/docs.jsonl", "https://data.example:8443/a/b%20c/d.parquet", "s3://bucket/docs.jsonl",
    "s3://bucket/deep/folder", "http://127.0.0.1:8000/a.csv", "http://localhost/a.csv", "https://data.example/beir",
    "https://bücher.example/ä.md",
])
def test_plain_addresses_are_fetched(address: str, specs: Specs) -> None:
    """As they were written, beside paths."""
    assert specs.load(CORPUS.format(address)).values["corpus.path"] == [address]
    many = f"embspec: 1\ncorpus: {{path: [docs/*.md, '{address}']}}\n"
    assert specs.load(many).values["corpus.path"] == ["docs/*.md", address]


@pytest.mark.parametrize(("address", "code", "words"), [
    ("https://me:hunter2@data.example/a.jsonl", "spec.secret", "netrc"),
    ("https://token@data.example/a.jsonl", "spec.secret", "netrc"),
    ("https://data.example/a.jsonl?X-Amz-Signature=hunter2", "spec.address", "plain address"),
    ("https://data.example/a.jsonl#hunter2", "spec.address", "plain address"),
    ("https://data.example/a.jsonl?", "spec.address", "plain address"),
    ("http://data.example/a.jsonl", "spec.address", "not encrypted"),
    ("gs://bucket/a.jsonl", "spec.address", "not fetched"),
    ("ftp://data.example/a.jsonl", "spec.address", "not fetched"),
    ("file:///etc/passwd", "spec.address", "not fetched"),
    ("https://data.example", "spec.address", "names no file"),
    ("s3://bucket/", "spec.address", "names no file"),
    ("https:///a.jsonl", "spec.address", "names no file"),
    ("https://data.example/*.jsonl", "spec.address", "one file"),
    ("s3://bucket/docs/**/*.md", "spec.address", "one file"),
    ("https://data.example/a b.jsonl", "spec.address", "%20"),
    ("s3://bucket/a b.jsonl", "spec.address", "copied to another"),
    ("HTTPS://data.example/a.jsonl", "spec.address", "write https://"),
    ("https://" + "ä" * 70 + ".example/a.jsonl", "spec.address", "no address"),
    ("https://data.example:port/a.jsonl", "spec.address", "no address"),
    ("https://[::1/a.jsonl", "spec.address", "no address"),
])
def test_what_is_no_plain_address(address: str, code: str, words: str, specs: Specs) -> None:
    """One problem with its place and what to do, and a secret is not said again."""
    (problem,) = specs.problems(CORPUS.format(address))
    assert (problem.code, problem.field) == (code, "corpus.path")
    assert problem.where and problem.where.line == 2
    assert words in str(problem)
    assert "hunter2" not in str(problem) and "token@" not in str(problem)


@pytest.mark.parametrize(("section", "field"), [
    ("labels: {review: 'https://data.example/r.csv'}", "labels.review"),
    ("eval: {runs: {vendor: 's3://bucket/run.trec'}}", "eval.runs.vendor"),
    ("model: {base: {static: {weights: 'https://data.example/w.safetensors', tokenizer: t.json}}}",
     "model.base.static.weights"),
])
def test_other_files_have_to_lie_in_the_project(section: str, field: str, specs: Specs) -> None:
    """What is not fetched is refused by its name."""
    assert ("spec.address", field) in [(p.code, p.field) for p in specs.problems(specs.smallest + section + "\n")]


@pytest.mark.parametrize("field", ["corpus.path", "corpus.path.2", "pairs.gold.path", "negatives.miners.1.path"])
def test_inputs_that_are_fetched(field: str) -> None:
    """Documents, pairs, and negatives that somebody else found."""
    assert address_problem("https://data.example/a.jsonl", Where("x.yaml"), field) is None


@pytest.mark.parametrize("field", ["remote.url", "index.sinks.1.url"])
def test_places_are_no_inputs(field: str) -> None:
    """A store or a service has an address of its own kind."""
    assert address_problem("gs://bucket/store", Where("x.yaml"), field) is None
