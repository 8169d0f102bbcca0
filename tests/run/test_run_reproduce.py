"""What is rebuilt, with what environment it is compared, and what is only taken."""
from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from embspec import Project
from embspec.api import RECIPES
from embspec.plan.plan import PACKAGES
from embspec.plan.values import Block, Texts
from embspec.run import reproduce
from embspec.run.build import Job, Order
from embspec.run.reproduce import DIFFERENT, EQUIVALENT, SAME, Past
from embspec.store.environment import listing
from tests.support.command import embspec
from tests.support.harbour import edit
from tests.support.ship import SPEC, ship


def past_of(project: Project, env: Texts) -> Past:
    """A lock with one stage that was built in this environment."""
    blocks = {"train": Block(pin={"numerics.profile": "avx2", "numerics.threads": "2"}, env="env-1")}
    job = Job(project.nodes, RECIPES, project.world, Order(), lambda event: None)
    return Past(job, project.world, blocks, {"env-1": env}, {}, "")


@pytest.mark.parametrize(("line", "text", "alike"), [
    ("", "", SAME), ("python", "3.9.1", EQUIVALENT), ("platform", "darwin arm64", EQUIVALENT),
    ("embspec", "0.0.1", EQUIVALENT), (PACKAGES, "sha256:" + 64 * "0", EQUIVALENT),
    ("device", "cpu SomeoneElse avx2", EQUIVALENT), ("device", "cuda NVIDIA-H200", DIFFERENT),
    ("torch", "1.0", DIFFERENT), ("transformers", "", DIFFERENT),
])
def test_how_environments_compare(
    line: str, text: str, alike: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line equal is the same; the same packages on the same kind of device are equivalent; else different."""
    ship(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    project = Project(str(SPEC))
    node = next(n for n in project.nodes if n.name == "train")
    pins = past_of(project, {}).blocks["train"].pin
    digest = project.world.objects.put(listing(node.packages)).split(" ")[0]
    here = {**project.world.here(node.packages, pins), PACKAGES: digest}
    assert reproduce._alike(node, past_of(project, here | ({line: text} if line else {}))) == alike
    assert reproduce._alike(node, past_of(project, {})) == DIFFERENT  # a lock that records none proves nothing


def test_a_base_is_read_from_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package's files are no files of the project; another version of it is not the base, which is taken then."""
    ship(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    package = tmp_path / "site" / "tinybase"
    package.mkdir(parents=True)
    shutil.move("specs/base/w.safetensors", package / "w.safetensors")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(package.parent))
    edit(SPEC, "weights: base/w.safetensors", "weights: package:tinybase/w.safetensors")
    assert embspec("build", "--to", "base", "-q").exit == 0
    with Project(str(SPEC)).apart() as (of, taken):
        assert not taken and Path(of.at.folder, "base/t.json").exists()
        assert not Path(of.at.folder, "base/w.safetensors").exists()
    assert embspec("reproduce", "--stage", "base", "-q").exit == 0
    (package / "w.safetensors").write_bytes(b"another version")
    with Project(str(SPEC)).apart() as (_, taken):
        assert list(taken) == ["base"] and "package:tinybase/w.safetensors" in taken["base"]
    assert embspec("reproduce", "--stage", "base", "-q").exit == 32
    sys.path_importer_cache.clear()


def test_files_outside_the_project_are_laid_out_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the spec was allowed to leave the project, its folder apart leaves itself the same way."""
    ship(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    shutil.move("specs/docs", tmp_path / "papers")
    edit(SPEC, "path: docs/*.md", "path: ../../papers/*.md")
    assert embspec("build", "--to", "corpus", "-q", "--allow-outside").exit == 0
    with Project(str(SPEC), allow_outside=True).apart() as (of, taken):
        assert not taken
        assert len(list(Path(of.at.root).parent.joinpath("papers").glob("*.md"))) == 22
    assert embspec("reproduce", "--stage", "corpus", "-q", "--allow-outside").exit == 0
