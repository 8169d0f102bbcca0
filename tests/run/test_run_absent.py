"""Files that a lock pins and the work tree has lost: which of them a locked build goes on without."""

from __future__ import annotations

from pathlib import Path

import pytest

from embspec import Project
from embspec.errors import NOWHERE, OUT_OF_DATE, EmbspecError
from embspec.plan.plan import RUN
from embspec.run.build import Order

LOCKED = Order(locked=True)


@pytest.fixture
def built(spec: Path) -> Path:
    """The folder of a spec that was built."""
    Project().build()
    return spec.parent


def ran() -> list[str]:
    """What a locked build ran."""
    return [name for name, did in Project().build(LOCKED).done.items() if did.step.state == RUN]


def refused() -> EmbspecError:
    """The error of a locked build."""
    with pytest.raises(EmbspecError) as caught:
        Project().build(LOCKED)
    return caught.value


@pytest.mark.parametrize("lost", [["gold.jsonl"], ["faq.csv"], ["gold.jsonl", "faq.csv"], ["more.jsonl"]])
def test_a_path_that_matches_nothing_is_absent(lost: list[str], built: Path) -> None:
    """A whole source, or one path of several: what was made of it is taken, and nothing runs."""
    for name in lost:
        (built / name).unlink()
    assert ran() == []


def test_a_folder_that_is_gone_is_absent(built: Path) -> None:
    """A glob that matches nothing is missed as one file is."""
    for path in (built / "docs").iterdir():
        path.unlink()
    assert ran() == []


@pytest.mark.parametrize("also", ["more", "fewer", "other"])
def test_an_absent_file_hides_no_change(also: str, built: Path) -> None:
    """Beside a path that is missed, another file of the same stage is new, gone or changed: 11."""
    (built / "more.jsonl").unlink()
    page = built / "docs" / "p03.md"
    if also == "more":
        (built / "docs" / "new.md").write_text("# New\n\nA page.\n", encoding="utf-8")
    elif also == "fewer":
        page.unlink()
    else:
        page.write_text("# Other\n\nWords.\n", encoding="utf-8")
    assert refused().exit == OUT_OF_DATE


def test_an_absent_file_hides_no_other_parameter(built: Path) -> None:
    """The spec names another file, which is not there: that is no file the lock pins."""
    spec = built / "mini.yaml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("gold.jsonl", "silver.jsonl"), encoding="utf-8")
    assert refused().exit == OUT_OF_DATE


def test_all_that_is_nowhere_is_named_at_once(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sources, an empty store, no history: one error for each, with the place in the spec, before anything runs."""
    for name in ("gold.jsonl", "faq.csv"):
        (built / name).unlink()
    monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / "empty"))
    error = refused()
    assert error.exit == NOWHERE
    assert [problem.text.split(",")[0] for problem in error.problems] == [
        "stage pairs.faq has to run", "stage pairs.gold has to run"]
    assert all(problem.where and problem.where.file.endswith("mini.yaml") for problem in error.problems)
    assert not (tmp_path / "empty/act").exists()
