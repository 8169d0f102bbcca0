"""The model world is pinned, the serving world is live."""

from __future__ import annotations

from typing import Any

import pytest

from embspec.plan.values import Wish
from tests.support.toys import Did, Toys, built, moving, reasons

RETRAIN = Wish(retrain=True)


def pinned(toys: Toys) -> dict[str, str]:
    """What the snapshot pins."""
    return dict(toys.blocks["snapshot"].pin)


def test_a_moved_document_moves_only_what_serves() -> None:
    """The corpus and the index follow the work tree, the snapshot stays where the model was trained."""
    toys = built()
    before = pinned(toys)
    toys.files["docs/c"] = "three"
    assert moving(toys.plan()) == {"corpus": "run", "index": "maybe"}
    assert toys.build() == ["corpus", "index"]
    assert pinned(toys) == before != {**before, **{a: toys.blocks["corpus"].out[a] for a in ("documents", "manifest")}}


def test_retrain_moves_it() -> None:
    """One request: the snapshot is the live corpus, and all that stands on it is made anew."""
    toys = built()
    toys.files["docs/c"] = "three"
    toys.build()
    assert reasons(toys.plan(RETRAIN), "snapshot") == ["--retrain", "pin documents", "pin manifest"]
    assert toys.build(RETRAIN) == ["pairs.gold", "split", "train", "evaluate", "gates", "index", "report"]
    assert {a: d for a, d in pinned(toys).items() if a != "definition"} == toys.blocks["corpus"].out


def test_retrain_with_nothing_new_moves_nothing() -> None:
    """The snapshot is at the live corpus already."""
    toys = built()
    assert toys.plan(RETRAIN).work == () and toys.build(RETRAIN) == []


def test_retrain_waits_for_a_corpus_that_will_run() -> None:
    """What the live corpus will be is not known before it ran."""
    toys = built()
    toys.files["docs/c"] = "three"
    now = toys.plan(RETRAIN)
    assert moving(now)["snapshot"] == "maybe" and moving(now)["corpus"] == "run"
    assert toys.build(RETRAIN)[:2] == ["corpus", "pairs.gold"]


def test_another_definition_of_the_corpus_moves_it() -> None:
    """An edit of the spec's corpus section is a new definition of the model, and says so."""
    toys = built()
    toys.values["corpus.path"] = ["docs/a"]
    assert "corpus.path" in reasons(toys.plan(), "snapshot")
    toys.build()
    assert toys.blocks["snapshot"].pin["documents"] == toys.blocks["corpus"].out["documents"]


def test_a_definition_that_reads_the_same_documents_moves_only_itself() -> None:
    """The new definition is recorded; the bytes are the same, so nothing after it runs."""
    toys = built()
    toys.work["corpus"] = lambda work: Did({"documents": "d", "manifest": "m"})
    toys.build(Wish(refresh=frozenset({"corpus"}), retrain=True))
    toys.values["corpus.path"] = ["docs/*", "docs/more"]
    before = pinned(toys)
    assert toys.build() == ["corpus"]
    assert {k for k in before if before[k] != pinned(toys)[k]} == {"definition"}


def test_live_ties_the_two_worlds() -> None:
    """With train_on live every moved document moves the model."""
    toys = built(corpus__train_on="live")
    toys.files["docs/c"] = "three"
    assert toys.build()[:4] == ["corpus", "pairs.gold", "split", "train"]
    assert toys.blocks["snapshot"].pin["documents"] == toys.blocks["corpus"].out["documents"]


@pytest.mark.parametrize(("values", "anchor"), [({}, "train"), ({"train.rate": None}, "evaluate")])
def test_it_follows_until_something_is_built_on_it(values: dict[str, Any], anchor: str) -> None:
    """Until the lock has a model (or, without one, an evaluation) the snapshot is the live corpus."""
    toys = Toys()
    toys.values = {k: v for k, v in {**toys.values, **values}.items() if v is not None}
    toys.build(Wish(to="split"))
    toys.files["docs/c"] = "three"
    toys.build(Wish(to="split"))
    assert toys.blocks["snapshot"].pin["documents"] == toys.blocks["corpus"].out["documents"]
    toys.build(Wish(to=anchor))
    toys.files["docs/d"] = "four"
    toys.build()
    assert toys.blocks["snapshot"].pin["documents"] != toys.blocks["corpus"].out["documents"]


def test_an_evaluation_does_not_hold_it_where_a_model_is_to_come() -> None:
    """The anchor is the first of the two that the street has: a model is what is built on the documents."""
    toys = built()
    del toys.blocks["train"]
    toys.files["docs/c"] = "three"
    toys.build()
    assert toys.blocks["snapshot"].pin["documents"] == toys.blocks["corpus"].out["documents"]


def test_a_model_that_leaves_the_spec_leaves_the_evaluation_as_anchor() -> None:
    """The snapshot stays."""
    toys = built()
    before = pinned(toys)
    del toys.values["train.rate"]
    toys.files["docs/c"] = "three"
    toys.build()
    assert pinned(toys) == before


def test_a_new_field_of_the_corpus_is_no_new_definition() -> None:
    """At the value it was introduced with it is left out of the definition too."""
    toys = built()
    toys.street = tuple(s._replace(params=(*s.params, "corpus.late")) if s.name == "corpus" else s for s in toys.street)
    toys.recipes = toys.recipes._replace(introduced={**toys.recipes.introduced, "corpus.late": "null"})
    toys.values["corpus.late"] = None
    assert moving(toys.plan()) == {}
    toys.values["corpus.late"] = 1
    assert set(moving(toys.plan())) >= {"corpus", "snapshot"}


def test_a_build_up_to_an_early_stage_does_not_move_it() -> None:
    """What is built on it is in the lock, although such a build leaves that out."""
    toys = built()
    before = pinned(toys)
    toys.files["docs/c"] = "three"
    assert toys.build(Wish(to="split"))[0] == "corpus"
    assert pinned(toys) == before
