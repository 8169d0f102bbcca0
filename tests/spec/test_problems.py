"""What is wrong with a spec: all of it at once, each with its code, its place and what to do."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec.spec.problems import MOST
from tests.spec.conftest import Specs

FOLDER = Path(__file__).parent

# After the two lines of the smallest spec: text, then the codes and places it gets.

WRONG: list[tuple[str, list[tuple[str, str]]]] = [
    ("nme: x\n", [("spec.unknown-key", "3:1")]),
    ("learning_rate: 3\n", [("spec.unknown-key", "3:1")]),
    ("seed: '42'\n", [("spec.type", "3:7")]),
    ("seed: -1\n", [("spec.range", "3:7")]),
    ("seed: 9223372036854775808\n", [("spec.range", "3:7")]),
    ("seed: 1.5\n", [("spec.type", "3:7")]),
    ("seed:\n", [("spec.type", "3:1")]),
    ("name: ''\n", [("spec.type", "3:7")]),
    ("name: true\n", [("spec.type", "3:7")]),
    ("risk: hihg\n", [("spec.choice", "3:7")]),
    ("split: 5\n", [("spec.type", "3:8")]),
    ("split: {test: 0.6, validation: 0.5}\n", [("spec.conflict", "3:9")]),
    ("split: {test: 0.6, validation: 0.5, freeze: maybe}\n", [("spec.conflict", "3:9"), ("spec.type", "3:45")]),
    ("split: {by: time}\n", [("spec.conflict", "3:9")]),
    ("split: {test: 1}\n", [("spec.range", "3:15")]),
    ("split: {test: .nan}\n", [("spec.range", "3:15")]),
    ("split: {freeze: yes}\n", [("spec.type", "3:17")]),
    ("model: {}\n", [("spec.missing", "3:1")]),
    ("model: {base: {statc: x}}\n", [("spec.unknown-key", "3:16")]),
    ("model: {base: []}\n", [("spec.type", "3:15")]),
    ("model: {base: {static: {weights: w, tokenizer: t}}, method: lora}\n", [("spec.conflict", "3:53")]),
    ("model: {base: {vectors: {documents: d, queries: q}}, method: static}\n", [("spec.conflict", "3:54")]),
    ("eval: {suites: {domain: {split: validation}}}\n", [("spec.conflict", "3:8")]),
    ("model: {base: a/b, lora: {target_modules: [q, q]}}\n", [("spec.duplicate", "3:47")]),
    ("model: {base: ../../m}\n", [("spec.path", "3:15")]),
    ("pairs: {gold: {path: x}}\n", [("spec.type", "3:8")]),
    ("pairs: [{path: x}]\n", [("spec.missing", "3:9")]),
    ("pairs: [{name: Gold, path: x}]\n", [("spec.name", "3:16")]),
    ("pairs: [{name: a, path: x}, {name: a, path: y}]\n", [("spec.duplicate-name", "3:36")]),
    ("pairs: [{name: a}]\n", [("spec.missing", "3:10")]),
    ("pairs: [{name: a, path: x, click_log: {path: y}}]\n", [("spec.conflict", "3:28")]),
    ("pairs: [{name: a, path: x, filter: {}}]\n", [("spec.conflict", "3:28")]),
    ("pairs: [{name: a, path: x, from: headings}]\n", [("spec.conflict", "3:28")]),
    ("pairs: [{name: a, from: headings, fields: {query: q}}]\n", [("spec.conflict", "3:35")]),
    ("pairs: [{name: a, from: titles}]\n", [("spec.choice", "3:25")]),
    ("pairs: [{name: a, path: x, fields: {qery: q}}]\n", [("spec.unknown-key", "3:37")]),
    ("pairs: [{name: a, path: x, roles: [tset]}]\n", [("spec.choice", "3:36")]),
    ("pairs: [{name: a, path: x, weight: 0}]\n", [("spec.range", "3:36")]),
    ("pairs: [{name: a, generate: {provider: {kind: replay}}}]\n", [("spec.missing", "3:30")]),
    (
        "pairs: [{name: a, generate: {provider: {kind: replay, path: x}, style_examples: b}}]\n",
        [("spec.reference", "3:81")],
    ),
    ("pairs: [{name: a, generate: {provider: {kind: replay, path: x, model: m}}}]\n", [("spec.unknown-key", "3:64")]),
    ("labels: {teacher: {}}\n", [("spec.conflict", "3:10")]),
    ("negatives: {miners: [{kind: dence}]}\n", [("spec.choice", "3:29")]),
    ("negatives: {miners: [{kind: bm25, window: {range_min: 60}}]}\n", [("spec.conflict", "3:44")]),
    ("negatives: {miners: [dense]}\n", [("spec.type", "3:22")]),
    ("loss: {name: MyLos}\n", [("spec.choice", "3:14")]),
    ("loss: {matryoshka: {dims: [64], weights: [1, 2]}}\n", [("spec.conflict", "3:33")]),
    ("loss: {matryoshka: {n_dims_per_step: 0}}\n", [("spec.range", "3:21")]),
    ("loss: {directions: query_to_doc}\n", [("spec.type", "3:20")]),
    ("train: {learning_rate: fast}\n", [("spec.choice", "3:24")]),
    ("train: {args: {learning_rate: 1}}\n", [("spec.conflict", "3:16")]),
    ("train: {args: {a: {b: 1}}}\n", [("spec.type", "3:16")]),
    ("numerics: {device: gpu}\n", [("spec.choice", "3:20")]),
    ("numerics: {threads: 0}\n", [("spec.range", "3:21")]),
    ("eval: {metrics: [recal@5]}\n", [("spec.metric", "3:18")]),
    ("eval: {metrics: [hit@5, hit_rate@5]}\n", [("spec.duplicate", "3:25")]),
    ("eval: {metrics: []}\n", [("spec.type", "3:17")]),
    ("eval: {systems: [bm26]}\n", [("spec.system", "3:18")]),
    ("eval: {systems: [tuned]}\n", [("spec.conflict", "3:18")]),
    ("eval: {systems: [run:x]}\n", [("spec.reference", "3:18")]),
    ("eval: {suites: {ood: {}}}\n", [("spec.missing", "3:17")]),
    ("eval: {suites: {ood: {beir: a, path: b}}}\n", [("spec.unknown-key", "3:32")]),
    ("eval: {slices: [{speed: fast}]}\n", [("spec.type", "3:17")]),
    ("eval: {statistics: {resamples: 10}}\n", [("spec.range", "3:32")]),
    ("eval: {dims: [0]}\n", [("spec.range", "3:15")]),
    ("gates: recall@10 >= 0.8\n", [("spec.type", "3:8")]),
    ("export: {onnx: true}\n", [("spec.type", "3:16")]),
    ("index: {truncate_dim: full}\n", [("spec.type", "3:23")]),
    ("index: {sinks: [{name: a, kind: pg, url: x}]}\n", [("spec.choice", "3:33")]),
    ("index: {sinks: [{name: a, kind: qdrant, url: 'https://me:pw@q'}]}\n", [("spec.secret", "3:46")]),
    ("retrain_when: [corpus_changed > 20]\n", [("spec.trigger", "3:16")]),
    ("remote: {url: ../../store}\n", [("spec.path", "3:15")]),
    ("remote: {read: all}\n", [("spec.missing", "3:1")]),
    ("unset: [seed]\n", [("spec.unset", "3:1")]),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_a_mistake_has_its_code_and_place(specs: Specs, text: str, expected: list[tuple[str, str]]) -> None:
    """The line and column are those of the key or value to change, and a sentence says what is wrong with it."""
    problems = specs.problems(specs.smallest + text)
    assert [(p.code, str(p.where).removeprefix("specs/x.yaml:")) for p in problems] == expected
    for problem in problems:
        assert problem.field
        assert "Input should" not in problem.text
        assert "|" not in problem.text


CONTEXTS = [
    ("{command: python ../../say.py}", [("spec.path", "2:73")]),
    ("{command: python tools/../../../say.py}", [("spec.path", "2:73")]),
    ("{command: python say.py --with=../../say.txt}", [("spec.path", "2:73")]),
    ('{command: "python a\\0b"}', [("spec.command", "2:73")]),
    ("{command: python ~/say.py}", [("spec.path", "2:73")]),
    ("{command: python 'say.py}", [("spec.command", "2:73")]),
    ("{command: python a//say.py}", [("spec.command", "2:73")]),
    ("{command: ' '}", [("spec.command", "2:73")]),
    ("{command: [python]}", [("spec.type", "2:73")]),
    ("{command: python say.py, tokens: 256}", [("spec.conflict", "2:54")]),
    ("{command: python say.py, tokens: 0}", [("spec.range", "2:96")]),
    ("{tokens: 3}", [("spec.missing", "2:54")]),
]


@pytest.mark.parametrize(("context", "expected"), CONTEXTS)
def test_a_command_that_cannot_be_one(specs: Specs, context: str, expected: list[tuple[str, str]]) -> None:
    """What no program can be made of, what leads out of the project, and a context as long as its chunk are refused;
    programs of the machine and addresses are not."""
    chunks = "embspec: 1\ncorpus: {{path: x.md, chunking: {{strategy: structure, context: {}}}}}\n"
    assert specs.wrong(chunks.format(context)) == expected
    assert specs.load(chunks.format("{command: /usr/bin/python say.py -x https://a.example/~ --with=/etc/x -v .}"))


SAID = [
    ("nme: x\n", "did you mean `name`?"),
    ("learning_rate: 3\n", "it belongs under `train`"),
    ("matryoshka: {}\n", "it belongs under `loss`"),
    ("train: {seed: 1}\n", "it belongs at the top of the spec"),
    ("corpas: {}\n", "did you mean `corpus`?"),
    ("train: {learning-rate: 1}\n", "did you mean `learning_rate`?"),
    ("keys: {envv: pin, x: 1}\n", "did you mean `env`?"),
    ("keys: {zzzz: 1}\n", "known here: env"),
    ("risk: hihg\n", "did you mean `high`?"),
    ("seed: '42'\n", "remove the quotes"),
    ("seed: 1_000\n", "write 1000"),
    ("split: {freeze: off}\n", "write false"),
    ("model: {base: a/b, candidates: c/d}\n", "write [c/d]"),
    ("model: a/b\n", "its keys are base, revision,"),
    ("model: {}\n", "add `base:` (hub id,"),
    ("pairs: {gold: {path: x}}\n", "write a list: `- name: …` begins each item"),
    ("labels:\nsplit:\n", "write its keys below it, or remove it"),
    ("eval: {suites: {ood: {}}}\n", "a mapping with `split`, `beir`, `path` or `command`"),
    ("pairs: [{name: gold, path: x}, {name: g, generate: {provider: {kind: replay, path: x}, style_examples: glod}}]\n",
     "did you mean `gold`?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "fix"), SAID)
def test_a_mistake_says_what_to_do(specs: Specs, text: str, fix: str) -> None:
    """The nearest right spelling, the section where a key is at home, or the words to write."""
    assert any(fix in problem.fix for problem in specs.problems(specs.smallest + text))


def test_secrets_are_not_repeated(specs: Specs) -> None:
    """A key or an address with a password is refused without being shown."""
    provider = "{kind: openai_compatible, base_url: 'https://me:hunter2@x', api_key: hunter2, model: m}"
    problems = specs.problems(f"{specs.smallest}pairs: [{{name: a, generate: {{provider: {provider}}}}}]\n")
    assert [problem.code for problem in problems] == ["spec.secret", "spec.secret"]
    problems += specs.problems(
        specs.smallest + "remote: {url: [hunter2]}\nindex: {sinks: [{name: a, kind: pgvector, url: {a: hunter2}}]}\n"
    )
    assert not any("hunter2" in str(problem) for problem in problems)


def test_no_more_than_a_person_reads(specs: Specs) -> None:
    """The first twenty in the order of the file, then how many more there are."""
    problems = specs.problems(specs.smallest + "".join(f"wrong{n}: 1\n" for n in range(30)))
    assert len(problems) == MOST + 1
    assert [p.where and p.where.line for p in problems[:MOST]] == list(range(3, 3 + MOST))
    assert (problems[-1].code, problems[-1].text) == ("spec.more", "and 10 more problems")


def test_all_problems_of_a_spec_read_as_written_down(specs: Specs) -> None:
    """The golden text of a spec with many mistakes; reviewed as text, because people read it."""
    problems = specs.problems((FOLDER / "wrong.yaml").read_text())
    found = "".join(f"[{problem.code}] {problem}\n" for problem in problems)
    assert found == (FOLDER / "wrong.txt").read_text()
