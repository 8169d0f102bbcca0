"""What a running stage is handed."""
from __future__ import annotations

from pathlib import Path

from embspec.run.desk import Given, StageDesk

NAME = b"n" * 16


def test_rows_hang_on_the_engine_but_for_those_of_no_floats(tmp_path: Path) -> None:
    """What one engine kept another does not find, unless the stage says that any would give it."""
    def desk(engine: str) -> StageDesk:
        return StageDesk(tmp_path, Given(0, {}, str(tmp_path / "store"), {"engine torch": engine}), lambda _: None)

    one = desk("2.1")
    one.rows({"what": "vectors"}).add([NAME], [b"v"])
    one.rows({"what": "words"}, anywhere=True).add([NAME], [b"w"])
    one.close()
    other = desk("2.2")
    assert other.rows({"what": "vectors"}).find([NAME]) == [None]
    assert other.rows({"what": "words"}, anywhere=True).find([NAME]) == [b"w"]
    other.close()
