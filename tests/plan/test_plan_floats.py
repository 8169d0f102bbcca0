"""Stages that compute with floats: what the machine settles, whose results are taken; files that are looked at once."""

from __future__ import annotations

import pytest

from embspec.plan.plan import REUSE, RUN
from embspec.plan.values import Wish
from tests.support.toys import STREET, VALUES, Toys, moving, reasons

NUMERICS = ("numerics.profile", "numerics.threads")
FLOATS = tuple(
    stage._replace(settles=NUMERICS) if stage.name in ("train", "index") else stage for stage in STREET
)

STICKY = tuple(
    stage._replace(params=("corpus.path",), live=lambda params: (params["corpus.path"],), sticky=lambda params: True)
    if stage.name == "corpus" else stage
    for stage in FLOATS
)


@pytest.fixture
def toys() -> Toys:
    """A street whose `train` and `index` compute with floats."""
    found = Toys()
    found.street = FLOATS
    found.values = {**VALUES, "numerics.profile": "auto", "numerics.threads": "auto", "corpus.path": "docs/*"}
    return found


def test_what_the_machine_settles_is_pinned(toys: Toys) -> None:
    """Profile and threads of the first build stay when another machine has others."""
    toys.build()
    assert toys.blocks["train"].pin == {"numerics.profile": "avx2", "numerics.threads": "2"}
    toys.machine = {"numerics.profile": "native", "numerics.threads": "8"}
    assert not toys.plan().work


def test_a_lock_settles_a_field_once_for_all_stages(toys: Toys) -> None:
    """A stage that is new on another machine takes what the lock's other stages have."""
    toys.street = tuple(stage for stage in FLOATS if stage.name != "index")
    toys.build()
    toys.street, toys.machine = FLOATS, {"numerics.profile": "native", "numerics.threads": "8"}
    assert toys.build() == ["index"]
    assert toys.blocks["index"].pin["numerics.threads"] == "2"


def test_a_written_value_goes_before_the_pin(toys: Toys) -> None:
    """`threads: 4` is obeyed, and is the reason that is shown."""
    toys.build()
    toys.values["numerics.threads"] = 4
    assert reasons(toys.plan(), "train") == ["pin numerics.threads"]
    assert toys.build()[0] == "train"
    assert toys.blocks["train"].pin["numerics.threads"] == "4"


def test_exact_stages_settle_nothing(toys: Toys) -> None:
    """What computes without floats has no such pin."""
    toys.build()
    assert {name for name, block in toys.blocks.items() if "numerics.threads" in block.pin} == {"train", "index"}


def test_another_environment_is_not_taken_for_this_one(toys: Toys) -> None:
    """Without a lock, exact results come from records, those of float stages only where this environment made them."""
    toys.build()
    toys.blocks, toys.environment = {}, {"torch": "2.14.0"}
    steps = {s.node.name: s.state for s in toys.plan(Wish()).steps}
    assert steps["corpus"] == REUSE
    assert toys.build() == ["split", "train", "index"]


def test_any_environment_is_taken_where_that_is_asked(toys: Toys) -> None:
    """`--any-env` takes what there is."""
    toys.build()
    toys.blocks, toys.environment = {}, {"torch": "2.14.0"}
    assert toys.build(Wish(any_env=True)) == ["split"]  # its pin is found by the run


def test_the_lock_goes_before_the_environment(toys: Toys) -> None:
    """A colleague with another machine gets the locked model and no training."""
    toys.build()
    toys.environment = {"torch": "2.14.0"}
    assert not toys.plan().work


def test_the_same_environment_is_taken_whatever_else_is_installed(toys: Toys) -> None:
    """The list of all packages is recorded, and does not decide."""
    toys.build()
    toys.blocks = {}
    assert toys.build() == ["split"]  # its pin is found by the run


def test_files_known_by_a_revision_are_looked_at_once(toys: Toys) -> None:
    """What is sticky stays pinned when its files move or go away, until somebody asks."""
    toys.street = STICKY
    toys.build()
    pin = toys.blocks["corpus"].pin
    toys.files = {"gold": "q"}
    assert not toys.plan().work
    assert reasons(toys.plan(Wish(forget=frozenset({"corpus tree"}))), "corpus")[0] != ""
    assert toys.blocks["corpus"].pin == pin


def test_another_name_is_looked_at_anew(toys: Toys) -> None:
    """The pin of one revision says nothing of another."""
    toys.street = STICKY
    toys.build()
    before = toys.blocks["corpus"].pin
    toys.values["corpus.path"] = "docs/a"
    toys.build()
    assert toys.blocks["corpus"].pin != before


def test_an_artefact_nobody_asked_for_is_not_made(toys: Toys) -> None:
    """`optional` leaves an artefact out of the lock; asking for it runs the stage, and says why."""
    def asked(params: object) -> bool:
        return toys.values["train.rate"] == 0.2

    toys.street = tuple(
        s._replace(makes=("model", "extra"), optional={"extra": asked}) if s.name == "train" else s for s in FLOATS
    )
    toys.build()
    assert list(toys.blocks["train"].out) == ["model"]
    toys.values["train.rate"] = 0.2
    assert moving(toys.plan())["train"] == RUN
    toys.build()
    assert list(toys.blocks["train"].out) == ["model", "extra"]
