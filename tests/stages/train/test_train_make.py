"""The stage from its needs to its artefacts."""
from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from embspec.errors import EmbspecError
from embspec.stages.train import loop
from embspec.stages.train.make import SCHEDULES
from tests.support.lessons import World, run, world
from tests.support.tiny import tiny_static, tiny_transformer

STATIC = {"model__method": "static", "train__learning_rate": 2e-2}
TABLE = "0_StaticEmbedding/model.safetensors"


@pytest.fixture()
def table(tmp_path: Path) -> Path:
    """A static base."""
    return tiny_static(tmp_path / "base")


def measured(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Validation gives these values, one after another."""
    left = list(values)
    monkeypatch.setattr(loop.Bench, "measure", lambda bench: left.pop(0))


def test_training_makes_validation_better(tmp_path: Path) -> None:
    """A tiny transformer learns on the tiny world; stat says what came of it, counts what it took."""
    result = run(tmp_path / "run", tiny_transformer(tmp_path / "base"), world(96), train__num_train_epochs=3.0)
    stat, counts = result.made.stat, result.made.counts
    base = float(stat["base"].split()[-1])
    assert float(stat["best"].split()[-1]) > base + 0.02
    assert (stat["examples"], stat["steps"], stat["dims"]) == (96, 18, "32")
    assert counts["steps"] == 18 and counts["rows"] == 3 * 96 and counts["encoded"] > 0
    assert len(stat) <= 6
    assert (result.out / "trace").stat().st_size == 18 * 24
    assert any("loss" in word for word in result.said)


def test_the_best_checkpoint_is_the_model(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is the checkpoint with the highest value; of two equal ones it is the earlier."""
    measured(monkeypatch, 0.1, 0.5, 0.4, 0.5, 0.2)
    best = run(tmp_path / "best", table, world(), **STATIC, train__evals_per_epoch=2)
    assert best.made.stat["best"] == "step 2 ndcg@10 0.5000"
    measured(monkeypatch, 0.1, 0.2, 0.3, 0.4, 0.5)
    last = run(tmp_path / "last", table, world(), **STATIC, train__evals_per_epoch=2)
    assert last.made.stat["best"] == "step 6 ndcg@10 0.5000"
    assert best.files()["trace"] == last.files()["trace"]
    assert best.files()[f"model/{TABLE}"] != last.files()[f"model/{TABLE}"]


def test_a_training_that_only_loses_ships_the_base(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is the first candidate: where no checkpoint beats it the weights are its own, bit by bit."""
    measured(monkeypatch, 0.6, 0.6, 0.5, 0.4, 0.3)
    result = run(tmp_path / "run", table, world(), **STATIC, train__evals_per_epoch=2)
    assert result.made.stat["best"] == "step 0 ndcg@10 0.6000"
    assert (result.model / TABLE).read_bytes() == (table / TABLE).read_bytes()


def test_patience_ends_it(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many checkpoints without a gain training stops; the trace ends there."""
    measured(monkeypatch, 0.1, 0.5, 0.4, 0.3)
    options = STATIC | {"train__evals_per_epoch": 3, "train__early_stopping.patience": 2}
    result = run(tmp_path / "run", table, world(), **options)
    assert result.made.stat["steps"] == 3
    assert result.made.stat["best"] == "step 1 ndcg@10 0.5000"
    assert len(result.files()["trace"]) == 3 * 24


def test_the_last_where_it_is_wished(tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `load_best_model_at_end` the model is the last step, and stat calls it that."""
    measured(monkeypatch, 0.1, 0.5, 0.2)
    result = run(tmp_path / "run", table, world(), **STATIC, train__evals_per_epoch=1,
                 train__load_best_model_at_end=False)
    assert result.made.stat["last"] == "step 6 ndcg@10 0.2000" and "best" not in result.made.stat
    assert not list(result.desk.scratch.glob("*.safetensors"))


def test_without_early_stopping_every_step_is_made(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`early_stopping: null` trains to the end and measures nDCG@10."""
    measured(monkeypatch, 0.9, *[0.1] * 12)
    result = run(tmp_path / "run", table, world(), **STATIC, train__evals_per_epoch=6, train__early_stopping=None)
    assert result.made.stat["steps"] == 6 and result.made.stat["base"] == "ndcg@10 0.9000"


def test_without_validation_the_last_step_is_taken(tmp_path: Path, table: Path) -> None:
    """No question of validation: nothing is measured, and the training's end is the model."""
    some = world()
    result = run(tmp_path / "run", table, World(some.examples, [], some.pool), **STATIC)
    assert set(result.made.stat) == {"examples", "steps", "dims"}
    assert (result.model / TABLE).read_bytes() != (table / TABLE).read_bytes()


def test_a_mean_with_the_base(tmp_path: Path, table: Path) -> None:
    """`merge_with_base: 0.7` is seven tenths of the model that training without it makes."""
    options = STATIC | {"train__load_best_model_at_end": False}
    plain = run(tmp_path / "plain", table, world(), **options)
    merged = run(tmp_path / "merged", table, world(), **options, loss__regularize__merge_with_base=0.7)
    assert plain.files()["trace"] == merged.files()["trace"]
    tuned, mean, base = (load_file(path / TABLE)["embedding.weight"] for path in (plain.model, merged.model, table))
    assert np.abs(mean - (0.7 * tuned + 0.3 * base)).max() < 1e-6 < np.abs(mean - tuned).max()


def test_each_option_of_training_changes_it(tmp_path: Path, table: Path) -> None:
    """No option is read and forgotten: each moves the trace away from that of the others."""
    base = STATIC | {"train__load_best_model_at_end": False, "loss__matryoshka__dims": [64, 32, 16]}
    changes = [
        {}, {"train__learning_rate": 1e-2}, {"train__num_train_epochs": 3.0}, {"train__warmup_steps": 0.5},
        {"train__warmup_steps": 2}, {"train__lr_scheduler_type": "cosine"}, {"train__weight_decay": 0.1},
        {"train__per_device_train_batch_size": 12}, {"loss__scale": 10.0}, {"loss__matryoshka": None},
        {"loss__matryoshka__dims": [64]}, {"loss__matryoshka__weights": [1.0, 0.5, 0.5]},
        {"loss__matryoshka__n_dims_per_step": 1}, {"loss__directions": ["query_to_doc", "doc_to_query"]},
        {"loss__hardness_mode": "hard_negatives"}, {"train__batch_sampler": "batch_sampler"}, {"seed": 9},
    ]
    traces = [run(tmp_path / str(n), table, world(), **base | change).files()["trace"]
              for n, change in enumerate(changes)]
    assert len(set(traces)) == len(changes)


def test_every_schedule_that_is_taken_runs(tmp_path: Path, table: Path) -> None:
    """Each schedule trains to weights of its own; only a cosine with its one restart at the end is the plain cosine."""
    made = {name: run(tmp_path / name, table, world(), **STATIC, train__lr_scheduler_type=name,
                      train__load_best_model_at_end=False).files()[f"model/{TABLE}"] for name in SCHEDULES}
    assert made["cosine"] == made.pop("cosine_with_restarts")
    assert len(set(made.values())) == len(made) == len(SCHEDULES) - 1


def test_weights_follow_their_dims(tmp_path: Path, table: Path) -> None:
    """Weights are written in the order of the dims, whichever that is; too few of them are an error."""
    one, other = (
        run(tmp_path / name, table, world(), **STATIC, loss__matryoshka__dims=dims, loss__matryoshka__weights=weights)
        for name, dims, weights in (("one", [16, 64], [0.5, 1.0]), ("other", [64, 16], [1.0, 0.5]))
    )
    assert one.files() == other.files()
    with pytest.raises(EmbspecError) as error:
        run(tmp_path / "few", table, world(), **STATIC, loss__matryoshka__weights=[1.0, 0.5])
    assert error.value.problems[0].field == "loss.matryoshka.weights"


def test_the_trace_names_batch_loss_and_gradient(tmp_path: Path, table: Path) -> None:
    """24 bytes a step: another seed has other batches, another scale the same batches with other losses."""
    def steps(name: str, **options: object) -> list[tuple[int, float, float]]:
        raw = run(tmp_path / name, table, world(), **STATIC, **options).files()["trace"]  # type: ignore[arg-type]
        return list(struct.iter_unpack("<Qdd", raw))

    plain, scaled, other = steps("plain"), steps("scaled", loss__scale=10.0), steps("other", seed=6)
    assert [one[0] for one in plain] == [one[0] for one in scaled]
    assert not {one[0] for one in plain} & {one[0] for one in other}
    assert all(a[1] != b[1] and a[2] != b[2] for a, b in zip(plain, scaled, strict=True))
    assert all(loss > 0 and norm > 0 for _, loss, norm in plain)


@pytest.mark.parametrize("validation", [True, False])
def test_a_training_that_diverges_is_said(tmp_path: Path, table: Path, validation: bool) -> None:
    """A loss, or vectors, that are no numbers end the training with the step or the sight and what to do."""
    some = world() if validation else World(world().examples, [], [])
    with pytest.raises(EmbspecError) as error:
        run(tmp_path / "run", table, some, model__method="static", train__learning_rate=3e38, train__warmup_steps=0.0,
            train__evals_per_epoch=3)
    problem = error.value.problems[0]
    assert (problem.code, error.value.exit, problem.field) == ("stage.diverged", 40, "train.learning_rate")
    assert ("vectors" if validation else "step 2") in problem.text and "lower train.learning_rate" in problem.fix


def test_small_batches_are_said(tmp_path: Path, table: Path) -> None:
    """Where a crowd of rows of one group makes batches small, that is told."""
    some = world(24)
    for row in some.examples:
        row["group"] = "one"
    result = run(tmp_path / "run", table, some, **STATIC)
    assert "batches hold 1 rows, not 16: so many rows share a question, answer or group" in result.said


def test_nothing_to_train_on(tmp_path: Path, table: Path) -> None:
    """Without examples there is an error of the input before any model is loaded."""
    with pytest.raises(EmbspecError) as error:
        run(tmp_path / "run", table, World([], [], []))
    assert error.value.problems[0].code == "input.no-examples"


@pytest.mark.parametrize(("field", "value"), [
    ("model__method", "lora"), ("train__precision", "bf16"), ("train__batch_sampler", "group_by_label"),
    ("loss__name", "TripletLoss"), ("train__lr_scheduler_type", "cosine_with_min_lr"),
])
def test_what_is_not_built_is_refused(tmp_path: Path, table: Path, field: str, value: str) -> None:
    """No value is taken and ignored."""
    with pytest.raises(EmbspecError) as error:
        run(tmp_path / "run", table, world(), **{**STATIC, field: value})
    assert error.value.problems[0].code == "spec.not-built"


def test_a_transformer_is_no_static_base(tmp_path: Path) -> None:
    """The method `static` over a transformer is a conflict, not a full training in silence."""
    with pytest.raises(EmbspecError) as error:
        run(tmp_path / "run", tiny_transformer(tmp_path / "base"), world(), **STATIC)
    assert error.value.problems[0].field == "model.method"


def test_a_table_is_no_transformer(tmp_path: Path, table: Path) -> None:
    """Nor is a table trained at the rate of a transformer, which would leave it as it was."""
    with pytest.raises(EmbspecError) as error:
        run(tmp_path / "run", table, world(), **{**STATIC, "model__method": "full"})
    assert error.value.problems[0].field == "model.method"


def test_lengths_that_serve_are_trained(tmp_path: Path, table: Path) -> None:
    """Matryoshka sees directions alone: with dot over vectors of any length it would train what is not served."""
    shutil.copytree(table, tmp_path / "dot")
    said = tmp_path / "dot" / "config_sentence_transformers.json"
    said.write_text(said.read_text(encoding="utf-8").replace("cosine", "dot"), encoding="utf-8")
    with pytest.raises(EmbspecError) as error:
        run(tmp_path / "run", tmp_path / "dot", world(), **{**STATIC, "loss__matryoshka__dims": [32]})
    assert error.value.problems[0].field == "loss.matryoshka"


def test_scratch_holds_what_is_left_over(tmp_path: Path, table: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Only the two artefacts are written, nothing is printed, and the needs are as they were."""
    before = {path: path.read_bytes() for path in table.rglob("*") if path.is_file()}
    result = run(tmp_path / "run", table, world(), **STATIC)
    assert sorted(path.name for path in result.out.iterdir()) == ["model", "trace"]
    assert before == {path: path.read_bytes() for path in table.rglob("*") if path.is_file()}
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
