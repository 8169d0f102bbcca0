"""What the store remembers of reproductions."""
from __future__ import annotations

from pathlib import Path

import pytest

from embspec.store import again
from embspec.store.again import Again, known, load, said, save

KEY, OUTS = "ab" + 30 * "0", {"model": "tree sha256:1 2"}


def of(date: str, equal: bool = True, within: bool = False, alike: str = "same") -> Again:
    """One reproduction."""
    return Again(date, alike, equal, within, "", {})


def test_each_is_kept_for_its_result(tmp_path: Path) -> None:
    """Two of one day are two; another result of the same key has none of them."""
    for _ in range(2):
        save(str(tmp_path), KEY, OUTS, "same", True, False, {"python": "3.11.7"})
    found = load(str(tmp_path), KEY, OUTS)
    assert [(each.equal, each.alike, each.env) for each in found] == [(True, "same", {"python": "3.11.7"})] * 2
    assert load(str(tmp_path), KEY, {"model": "tree sha256:3 2"}) == [] == load(str(tmp_path / "none"), KEY, OUTS)


def test_what_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    """A file of another version, or half of one, is passed over."""
    save(str(tmp_path), KEY, OUTS, "same", True, False, {})
    for name, text in (("half", "{"), ("older", '{"day": "2020-01-01"}')):
        (tmp_path / "again" / "ab" / KEY / f"{name}.json").write_text(text)
    assert len(load(str(tmp_path), KEY, OUTS)) == 1


@pytest.mark.parametrize(("found", "text"), [
    ([], "unverified"),
    ([of("2026-11-18"), of("2026-11-19"), of("2026-11-20")], "exact ×3, last 2026-11-20"),
    ([of("2026-11-18"), of("2026-11-19", False, True, "equivalent")],
     "exact ×1, last 2026-11-18; within tolerance ×1 in an equivalent environment, last 2026-11-19"),
    ([of("2026-11-18", False)], "differs ×1 in the same environment, last 2026-11-18"),
])
def test_in_words(found: list[Again], text: str) -> None:
    """How often, on what, and when last."""
    assert said(found) == text


def test_the_day_is_that_of_the_meridian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever zone a machine is in, two of them write the same day."""
    monkeypatch.setattr(again.time, "gmtime", lambda: (2026, 11, 20, 0, 0, 0, 0, 0, 0))
    save(str(tmp_path), KEY, OUTS, "same", True, False, {})
    assert known(str(tmp_path), KEY, OUTS) == "exact ×1, last 2026-11-20"
