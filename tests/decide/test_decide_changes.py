"""What two locks say differently, as far as a metric can hang on it."""
from __future__ import annotations

from embspec.decide.changes import changes
from embspec.lock.text import Lock
from embspec.plan.keys import Reason
from embspec.plan.values import Block
from tests.support.locks import digest, lock

TREES = {"corpus": "sha256:" + "3" * 64 + " 2 files"}


def nothing(digest: str) -> str | None:
    """A store that has no lists."""
    return None


def test_the_same_lock_twice() -> None:
    """Nothing differs."""
    assert changes(lock(), lock(), nothing) == ((), None, (), (), ())


def test_fields_once() -> None:
    """A field that two stages read is one change; a recipe is the stage's own; a new stage is one line."""
    before, after = lock(), lock(rate="0.2")
    for of, k in ((before, "1.2"), (after, "0.0")):
        for name in ("train", "evaluate"):
            of.blocks[name].params["eval.bm25.k1"] = k  # type: ignore[index]
    more = Lock({**after.blocks, "train": after.blocks["train"]._replace(recipe="3"), "extra": Block(recipe="1"),
                 "gates": Block(params={"seed": "1"})}, {})
    assert changes(before, more, nothing).fields == (
        Reason("eval.bm25.k1", "1.2", "0.0"), Reason("train recipe", "2", "3"), Reason("train.rate", "0.1", "0.2"),
        Reason("stage extra", None, "new"))
    assert changes(more, before, nothing).fields[-1] == Reason("stage extra", "there", None)


def test_documents_and_files_by_name() -> None:
    """Counted and named where the store has the lists, else by their digests."""
    before, after = lock(), lock(documents="new documents", pins=TREES)
    rows = {digest("documents"): "a\t1\nb\t2\n", digest("new documents"): "a\t1\nb\t3\nc\t4\n",
            before.blocks["corpus"].pin["tree"]: f"{'a' * 64} 1 docs/a.md\n{'b' * 64} 1 docs/b b.md\n",
            TREES["corpus"]: f"{'a' * 64} 1 docs/a.md\n{'c' * 64} 1 docs/b b.md\n{'d' * 64} 1 docs/c.md\n"}
    by_digest = {line.split(" ")[0]: text for line, text in rows.items()}
    found = changes(before, after, by_digest.get)
    assert found.documents == (1, 0, 1) and not found.fields and not found.pins
    assert found.files == (Reason("corpus file docs/b b.md", "sha256:" + "b" * 64, "sha256:" + "c" * 64),
                           Reason("corpus file docs/c.md", None, "sha256:" + "d" * 64))
    found = changes(before, after, nothing)
    assert found.documents is None and [r.field for r in (*found.files, *found.pins)] == [
        "corpus files", "snapshot pin manifest"]


def test_other_bytes_of_the_same_inputs() -> None:
    """Where nothing else differs it was the environment, and what of it differs is named."""
    def built(torch: str, model: str) -> Lock:
        of = lock()
        block = of.blocks["train"]._replace(out={"model": digest(model)}, env=f"env-{torch}")
        return Lock({**of.blocks, "train": block}, {f"env-{torch}": {"python": "3.11", "torch": torch}})

    assert changes(built("1", "a"), built("2", "b"), nothing).environment == (Reason("torch", "1", "2"),)
    assert changes(built("1", "a"), built("2", "a"), nothing).environment == ()


def test_pins_that_a_run_found() -> None:
    """They are the consequence, and stand apart from what a person changed."""
    before, after = lock(), lock()
    before.blocks["train"].pin["stop"] = "9"  # type: ignore[index]
    assert changes(before, after, nothing).pins == (Reason("train pin stop", "9", None),)
