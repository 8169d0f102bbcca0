"""What a build with nothing to do costs over many files, beside DVC doing the same."""
from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from clock import Command, Took, machine, own_peak, save, side_by_side, table
from noop_projects import DVC, DVC_STAGES, Bench, bench, prepare

FORBIDDEN = ("torch", "transformers", "numpy", "pydantic", "ruamel", "click")


class Case(NamedTuple):
    """One line of the table: what must hold, and both commands."""

    name: str
    must_seconds: float
    must_mb: float | None
    ours: Command
    theirs: Command


class Row(NamedTuple):
    """What was measured."""

    case: Case
    ours: Took
    theirs: Took

    @property
    def ratio(self) -> float:
        """How many times DVC's time is embspec's."""
        return self.theirs.seconds / self.ours.seconds

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.ours.seconds <= self.case.must_seconds and self.ours.megabytes <= (self.case.must_mb or 1e9)


def cases(at: Bench) -> list[Case]:
    """What is measured; the last one changes the projects."""
    def ours(words: str, said: str, **more: str) -> Command:
        return Command([at.embspec, *words.split()], at.ours, {**at.env, **more}, said)

    def theirs(words: str, said: str) -> Command:
        return Command([at.dvc, *words.split()], at.theirs, at.env, said)

    done, theirs_done = "up to date, 8 stages", "Data and pipelines are up to date"
    return [
        Case("--version", 0.08, None, ours("--version", "embspec "), theirs("--version", DVC)),
        Case("no-op build", 0.30, 40, ours("build", done), theirs("repro", theirs_done)),
        Case("no-op build, every byte read", 0.40, None,
             ours("build", done, CI="true"), theirs("repro", theirs_done)._replace(before=forget(at))),
        Case("plan, one document changed", 0.50, None,
             ours("plan", "+ corpus")._replace(before=edit(at.ours + "/specs")),
             theirs("status", "modified:")._replace(before=edit(at.theirs))),
    ]


def edit(folder: str) -> Callable[[], None]:
    """Change one document; the wait is a person's way from the editor to the command line."""
    def change() -> None:
        with open(Path(folder, "docs/07/00007.md"), "a", encoding="utf-8") as file:
            file.write("more\n")
        time.sleep(0.2)

    return change


def forget(at: Bench) -> Callable[[], None]:
    """DVC reads every byte again when its state is gone."""
    return lambda: shutil.rmtree(at.env["DVC_SITE_CACHE_DIR"], ignore_errors=True)


def imported(at: Bench) -> list[str]:
    """The modules of the no-op, by the interpreter's own list."""
    code = ("import sys; sys.argv = ['embspec', 'build', '-q']; from embspec.__main__ import main; main(); "
            "print('\\n'.join(sorted(sys.modules)))")
    args = [str(Path(at.embspec).parent / "python"), "-c", code]
    return subprocess.run(args, cwd=at.ours, env=at.env, capture_output=True, text=True, check=True).stdout.split()


def shown(rows: Sequence[Row]) -> str:
    """The table that is printed."""
    head = ("", "embspec", "DVC", "ratio", "embspec", "DVC", "must be", "")
    return table(head, [
        (r.case.name, f"{r.ours.seconds:.3f} s", f"{r.theirs.seconds:.3f} s", f"1 : {r.ratio:.1f}",
         f"{r.ours.megabytes:.0f} MB", f"{r.theirs.megabytes:.0f} MB",
         f"<= {r.case.must_seconds:.2f} s" + (f", {r.case.must_mb:.0f} MB" if r.case.must_mb else ""),
         "met" if r.met else "MISSED")
        for r in rows
    ])


def kept(row: Row) -> dict[str, object]:
    """One line of the result file."""
    return {
        "case": row.case.name,
        "embspec_seconds": round(row.ours.seconds, 4), "dvc_seconds": round(row.theirs.seconds, 4),
        "ratio": round(row.ratio, 1),
        "embspec_mb": round(row.ours.megabytes, 1), "dvc_mb": round(row.theirs.megabytes, 1),
        "must_seconds": row.case.must_seconds, "must_mb": row.case.must_mb, "met": row.met,
    }


def main() -> None:
    """Measure, print one table, write results/noop.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9, help="turns that count, after one that does not")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="embspec-noop-") as folder:
        at = bench(Path(folder))
        first = prepare(at, given.files)
        peak, where = own_peak(), machine()
        modules = imported(at)
        rows = [Row(case, *side_by_side([case.ours, case.theirs], given.rounds)) for case in cases(at)]
    bad = [m for m in modules if m.split(".")[0] in FORBIDDEN]
    print(f"{given.files} files, {len(DVC_STAGES)} stages; medians of {given.rounds} whole processes that take turns; "
          f"embspec installed, not editable; DVC {DVC}\n{where}\n{shown(rows)}")
    print(f"the no-op imports {len(modules)} modules, of the forbidden ones: {', '.join(bad) or 'none'}")
    others = [m for m in modules if m.split(".")[0] not in sys.stdlib_module_names]
    save("noop", {
        "machine": where, "files": given.files, "stages": len(DVC_STAGES), "rounds": given.rounds, "dvc": DVC,
        "install": "not editable", "first_build_seconds": first, "memory_floor_mb": round(peak, 1),
        "rows": [kept(row) for row in rows], "modules": len(modules), "forbidden_imported": bad,
        "modules_beside_the_standard_library": others,
    })
    if bad or not all(row.met for row in rows):
        raise SystemExit("a limit was missed")


if __name__ == "__main__":
    main()
