"""`Project`: what Python users hold, and what the commands are thin over."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from embspec import Project
from embspec.errors import INVALID, OUT_OF_DATE, USAGE, EmbspecError
from embspec.plan.plan import CLEAN, RUN
from embspec.plan.values import Wish
from embspec.run.build import Order

SPEC = """\
embspec: 1
name: mini
corpus:
  path: docs/*.md
pairs:
  - {name: gold, path: gold.jsonl, trust: gold, roles: [test, validation]}
split:
  test: 0.6
  validation: 0.3
  min_queries: {test: 5, validation: 2}
eval:
  metrics: [recall@5, mrr@10]
  statistics: {resamples: 200}
  bm25: {tokenizer: words}
gates:
  - recall@5 of bm25 >= 0.4
"""
STREET = ["corpus", "snapshot", "survey", "pairs.gold", "split", "lexical", "evaluate", "gates", "report"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of twenty documents and as many questions, half of which words alone answer; one is in it."""
    root = tmp_path / "project"
    (root / "specs" / "docs").mkdir(parents=True)
    rows = []
    for n in range(20):
        text = f"# A page\n\nHere stands what the crew of boat number{n} must know of its rope{n} and its net{n}.\n"
        (root / "specs" / "docs" / f"d{n:02}.md").write_text(text, encoding="utf-8")
        question = f"the rope{n} of number{n}?" if n % 2 else "what must the crew know?"
        rows.append({"id": f"q{n:02}", "query": f"{question} (asker{n})", "positive": f"docs/d{n:02}.md"})
    lay(root, SPEC, rows)
    monkeypatch.chdir(root)
    return root


def lay(root: Path, spec: str, rows: list[dict[str, str]] | None = None) -> None:
    """Write the spec, and the questions where they are given."""
    (root / "specs" / "mini.yaml").write_text(spec, encoding="utf-8")
    if rows is not None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (root / "specs" / "gold.jsonl").write_text(text, encoding="utf-8")


def project() -> Project:
    """The project as a new process would open it."""
    return Project("specs/mini.yaml")


def states(of: Project) -> dict[str, str]:
    """What the plan says of each stage."""
    return {step.node.name: step.state for step in of.plan().steps}


def test_the_lines_of_the_manual(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plan, build and the metrics of the lock: three lines, and nothing is printed."""
    p = Project("specs/mini.yaml")
    assert [step.node.name for step in p.plan().steps] == STREET
    assert p.lock.metrics == {} and p.lock.verdict == ""
    outcome = p.build()
    assert list(p.lock.metrics) == ["recall@5 bm25", "mrr@10 bm25"]
    assert list(outcome.done) == STREET
    assert p.lock.verdict == "green"
    assert capsys.readouterr() == ("", "")


def test_the_metrics_are_those_of_lock_and_report(folder: Path) -> None:
    """One figure in three places: the lock's text, `lock.metrics`, report.json."""
    p = project()
    p.build()
    report = json.loads((folder / "out" / "mini" / "report" / "report.json").read_text(encoding="utf-8"))
    whole = {f"{m['metric']} {m['system']}": m for m in report["metrics"] if m["slice"] is None}
    lock = (folder / "specs" / "mini.lock").read_text(encoding="utf-8")
    for name, value in p.lock.metrics.items():
        assert whole[name]["value"] == pytest.approx(value, abs=5e-5)
        metric, _, system = name.partition(" ")
        assert re.search(rf"^ +{system}: .*{metric} {value} ", lock, re.MULTILINE)


def test_the_only_spec_need_not_be_named(folder: Path) -> None:
    """With one spec under specs/ its name may be left out."""
    assert Project().at.spec == str(folder / "specs" / "mini.yaml")


def test_a_second_build_does_nothing(folder: Path) -> None:
    """After a build every stage is clean, and building again touches neither the lock nor the report."""
    project().build()
    files = [folder / "specs" / "mini.lock", folder / "out" / "mini" / "report" / "report.md"]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in files]
    assert set(states(project()).values()) == {CLEAN}
    assert project().build().done == {}
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in files] == before


def test_a_build_remembers_how_long_its_stages_took(folder: Path) -> None:
    """What Python builds is priced by `plan` like what the command builds."""
    project = Project("specs/mini.yaml")
    assert project.seconds == {}
    done = project.build().done
    assert set(project.seconds) == {name for name, did in done.items() if did.step.state == "run"}


def test_a_gate_edit_judges_again_and_measures_nothing(folder: Path) -> None:
    """Another bound runs gates and report alone, another metric too: it is computed from the runs."""
    project().build()
    for edit in (">= 0.3", ">= 0.3\n  - hit@3 of bm25 >= 0.2\n  - ndcg@7 of bm25 >= 0.1 @95"):
        lay(folder, SPEC.replace(">= 0.4", edit))
        assert [name for name, state in states(project()).items() if state == RUN] == ["gates", "report"]
        assert list(project().build().done) == ["gates", "report"]
    assert project().lock.verdict == "green"


def test_a_gate_deeper_than_the_runs_is_measured(folder: Path) -> None:
    """A metric below the 100 ranks that runs hold adds itself to the evaluation, which runs again."""
    project().build()
    lay(folder, SPEC + "  - recall@150 of bm25 >= 0.5\n")
    assert list(project().build().done) == ["evaluate", "gates", "report"]
    assert "recall@150 bm25" in project().lock.metrics


def test_scores_that_move_do_not_move_the_choice(folder: Path) -> None:
    """Other validation questions give other scores of the tokenizers; where the choice stays nothing else moves."""
    lay(folder, SPEC.replace("tokenizer: words", "tokenizer: auto"))
    project().build()
    chosen = project().lock.lock.blocks["lexical"]
    path = folder / "specs" / "gold.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    store = project().world.objects
    asked = store.text(project().lock.lock.blocks["split"].out["validation.jsonl"].rsplit(" ", 1)[0])
    assert asked is not None
    validation = {json.loads(line)["id"] for line in asked.splitlines()}
    for row in rows:
        if row["id"] in validation:
            row["query"] = f"must the crew know {row['query'].split()[-1]}"
    lay(folder, SPEC.replace("tokenizer: words", "tokenizer: auto"), rows)
    assert list(project().build().done) == ["pairs.gold", "split", "lexical", "report"]
    now = project().lock.lock.blocks["lexical"]
    assert [now.out[name] == chosen.out[name] for name in ("tokenizer.json", "tried.json")] == [True, False]


def test_a_red_gate_is_in_the_outcome(folder: Path) -> None:
    """A red verdict is no error for Python users: the outcome and the lock say it."""
    lay(folder, SPEC.replace(">= 0.4", ">= 1"))
    assert project().build().plan.verdict == "red"
    assert project().lock.verdict == "red"


def test_other_values_for_once(folder: Path) -> None:
    """`sets` is a what-if: the plan has them, the spec on disk has not."""
    project().build()
    other = Project("specs/mini.yaml", sets=["split.test=0.5"])
    (split,) = (step for step in other.plan().steps if step.node.name == "split")
    assert [(r.field, r.then, r.now) for r in split.why] == [("split.test", "0.6", "0.5")]
    assert set(states(project()).values()) == {CLEAN}


def test_check_reads_every_input_and_keeps_nothing(folder: Path, tmp_path: Path) -> None:
    """A check says what it found; afterwards there is no lock and no out/."""
    stats, problems = project().check()
    assert problems == []
    assert stats["corpus"] == {"documents": 20} and stats["pairs.gold"]["queries"] == 20
    assert not (folder / "specs" / "mini.lock").exists() and not (folder / "out").exists()


def test_check_tells_all_problems_at_once(folder: Path) -> None:
    """What is wrong with the documents and with the pairs is told together, each with its file and line."""
    (folder / "specs" / "docs" / "bad.md").write_bytes(b"caf\xe9")
    with open(folder / "specs" / "gold.jsonl", "a", encoding="utf-8") as file:
        file.write('{"query": "no positive"}\n')
    lay(folder, SPEC)
    _, problems = project().check()
    assert [str(p.where) for p in problems] == ["specs/docs/bad.md", "specs/gold.jsonl:21"]
    (folder / "specs" / "docs" / "bad.md").unlink()
    _, problems = project().check()
    assert [str(p.where) for p in problems] == ["specs/gold.jsonl:21"]


def test_what_is_not_built_yet_is_refused_by_name(folder: Path) -> None:
    """A field that this version cannot obey is named with its place; plan works, build refuses and writes nothing."""
    lay(folder, SPEC + "prices: {gpu_hour: 2.0}\nindex: {truncate_dim: 64}\n")
    p = project()
    assert [(r.code, r.field, str(r.where)) for r in p.refusals()] == [
        ("spec.not-built", "index", "specs/mini.yaml:18:1"),
        ("spec.not-built", "prices", "specs/mini.yaml:17:1"),
    ]
    assert "model" in p.refusals()[0].text  # it would be built, if there were one
    assert set(states(p).values()) == {RUN}
    with pytest.raises(EmbspecError) as caught:
        p.build()
    assert caught.value.exit == INVALID and len(caught.value.problems) == 2
    assert not (folder / "specs" / "mini.lock").exists()


@pytest.mark.parametrize(
    ("gate", "refused"),
    [
        ("hit@5 of bm25 >= 0.5", False),
        ("mrr of bm25 >= 0.5", False),
        ("recall@5 of bm25 slice disjoint >= 0.5", False),
        ("recall@5 of bm25 >= bm25 - 0.1 @95", False),
        ("recall@5 of bm25 >= locked - 0.1", False),
        ("latency_p95_ms <= 15", True),
        ("recall@5 of bm25+rerank >= 0.5", True),
    ],
)
def test_gates_are_refused_only_for_what_is_not_there(folder: Path, gate: str, refused: bool) -> None:
    """Every gate that words alone can be judged by is built; what needs a model is named."""
    lay(folder, SPEC + f"  - {gate}\n")
    assert [r.field.startswith("gates.") for r in project().refusals()] == [True] * refused


def test_what_is_implied_and_left_out_is_said(folder: Path) -> None:
    """Sections that the vocabulary implies and this version leaves out are named, those it builds are not."""
    implied = project().implied()
    assert {"labels", "advise", "prices"} <= set(implied)
    assert not set(implied) & {"corpus", "pairs", "split", "eval", "name", "seed"}


def test_an_error_is_placed_at_the_field_to_blame(folder: Path) -> None:
    """A stage that blames a field raises with the file, line and column where the spec writes it."""
    lay(folder, SPEC.replace("{test: 5, validation: 2}", "{test: 500, validation: 2}"))
    with pytest.raises(EmbspecError) as caught:
        project().build()
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.where)) == ("input.too-few", "specs/mini.yaml:10:17")


def test_a_default_to_blame_is_placed_at_its_section(folder: Path) -> None:
    """Where the field is not written, the place is that of the nearest section that is."""
    lay(folder, SPEC.replace("  min_queries: {test: 5, validation: 2}\n", ""))
    with pytest.raises(EmbspecError) as caught:
        project().build()
    assert {(p.code, str(p.where)) for p in caught.value.problems} == {("input.too-few", "specs/mini.yaml:7:1")}


def test_an_error_in_a_row_is_placed_at_the_row(folder: Path) -> None:
    """A positive that no document has is placed at its line of the file, by the path a person opens."""
    path = folder / "specs" / "gold.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("docs/d03.md", "docs/d93.md"), encoding="utf-8")
    with pytest.raises(EmbspecError) as caught:
        project().build()
    assert [(p.code, str(p.where)) for p in caught.value.problems] == [("input.dangling", "specs/gold.jsonl:4")]


@pytest.mark.parametrize("wish", [Wish(to="nowhere"), Wish(refresh=frozenset({"nowhere"}))])
def test_an_unknown_stage_is_a_usage_error(folder: Path, wish: Wish) -> None:
    """The error lists the stages that there are."""
    for call in (lambda: project().plan(wish), lambda: project().build(Order(wish))):
        with pytest.raises(EmbspecError) as caught:
            call()
        assert caught.value.exit == USAGE
        assert "evaluate" in caught.value.problems[0].fix


def test_a_build_to_a_stage_ends_with_a_report(folder: Path) -> None:
    """`to` runs what the stage stands on, and a report over what is there."""
    assert list(project().build(Order(Wish(to="split"))).done) == [
        "corpus",
        "snapshot",
        "pairs.gold",
        "split",
        "report",
    ]
    report = json.loads((folder / "out" / "mini" / "report" / "report.json").read_text(encoding="utf-8"))
    assert (report["metrics"], report["verdict"]) == ([], None)
    assert report["split"]["parts"]["test"]["queries"] >= 5


def test_the_lock_is_checked_without_running(folder: Path) -> None:
    """`check_lock` passes after a build, and names the field after an edit."""
    project().build()
    project().check_lock()
    lay(folder, SPEC.replace("resamples: 200", "resamples: 300"))
    with pytest.raises(EmbspecError) as caught:
        project().check_lock()
    assert caught.value.exit == OUT_OF_DATE
    assert any("eval.statistics.resamples: 200 → 300" in p.text for p in caught.value.problems)


def test_two_locks_differ_in_parameters_data_and_metrics(folder: Path) -> None:
    """A diff has the fields, the documents that moved, and every metric with its interval, won and lost."""
    project().build()
    shutil.copy("specs/mini.lock", "old.lock")
    for n in range(0, 20, 2):
        path = folder / "specs" / "docs" / f"d{n:02}.md"
        path.write_text(path.read_text(encoding="utf-8") + f"\nIt was asker{n} who wanted to know.\n", encoding="utf-8")
    (folder / "specs" / "docs" / "new.md").write_text("# New\n\nA new page.\n", encoding="utf-8")
    lay(folder, SPEC.replace("[recall@5, mrr@10]", "[mrr@10, recall@5]"))
    project().build(Order(Wish(retrain=True)))
    found = project().diff("old.lock")
    params = {r.field: (r.then, r.now) for stage in found.stages for r in stage.params}
    assert params == {"eval.metrics": ("recall@5 mrr@10", "mrr@10 recall@5")}
    assert found.documents == (1, 0, 10)
    assert [c.metric for c in found.metrics] == ["mrr@10", "recall@5"]
    change = found.metrics[0]
    assert change.won > 0 and change.after > change.before and change.n >= 5
    assert found.unknown == []
    back = project().diff("specs/mini.lock", "old.lock")
    assert {c.metric: (c.won, c.lost) for c in back.metrics} == {c.metric: (c.lost, c.won) for c in found.metrics}


def test_equal_locks_do_not_differ(folder: Path) -> None:
    """A lock beside itself is no change of any kind."""
    project().build()
    found = project().diff("specs/mini.lock")
    assert (found.stages, found.documents, found.metrics, found.unknown) == ([], None, [], [])


def test_bytes_that_are_gone_are_named_in_a_diff(folder: Path, tmp_path: Path) -> None:
    """Where the store has the old artefacts no more, the diff says what it could not compare."""
    project().build()
    shutil.copy("specs/mini.lock", "old.lock")
    shutil.rmtree(tmp_path / "store")
    lay(folder, SPEC.replace("[recall@5, mrr@10]", "[mrr@10]"))
    project().build()
    found = project().diff("old.lock")
    assert found.metrics == []
    assert found.unknown == ["evaluate/scores of old.lock is not in the store"]


def test_a_lock_that_is_no_text_is_an_error(folder: Path) -> None:
    """A file of other bytes given as a lock is refused with its name, not with a traceback."""
    project().build()
    (folder / "other.lock").write_bytes(b"lock: 1\n\xff\xfe")
    with pytest.raises(EmbspecError) as caught:
        project().diff("other.lock")
    assert caught.value.problems[0].code == "lock.syntax"
    assert str(caught.value.problems[0].where) == "other.lock"


def test_drift_counts_what_moved(folder: Path) -> None:
    """Documents that changed since the snapshot are counted; the metrics stay what they were."""
    p = project()
    p.build()
    metrics = p.lock.metrics
    path = folder / "specs" / "docs" / "d01.md"
    path.write_text(path.read_text(encoding="utf-8").replace("crew", "krew"), encoding="utf-8")
    assert list(project().build().done) == ["corpus"]
    drift = project().drift(project().plan())
    assert drift is not None
    assert project().lock.metrics == metrics
