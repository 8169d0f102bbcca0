"""The one error type, and the table from code to exit."""
from __future__ import annotations

from typing import NamedTuple

# What an exit code means never changes; `product.md`'s table is printed in `--help`.
OK, BUG, USAGE, INVALID = 0, 1, 2, 3
WORK, OUT_OF_DATE, UNREADABLE, RETRAIN = 10, 11, 12, 13
RED, INCONCLUSIVE, NOT_TO_TUNE, REFUSED = 20, 21, 22, 23
WITHIN, DIFFERS, NOWHERE = 30, 31, 32
STAGE_FAILED, STOPPED, BUDGET = 40, 41, 42
CORRUPT, WAITED, UNREACHABLE = 50, 60, 70

EXITS: dict[int, str] = {
    OK: "done, up to date",
    BUG: "internal error (a bug: says where to report it)",
    USAGE: "usage",
    INVALID: "spec or input invalid, with file:line:col",
    WORK: "plan/status --exit-code: there is work to do",
    OUT_OF_DATE: "--locked, lock --check: the lock is out of date",
    UNREADABLE: "lock unreadable: too new; conflict markers, where the command may not write",
    RETRAIN: "status/monitor --exit-code: a retrain trigger fired",
    RED: "a gate failed, or could not be computed",
    INCONCLUSIVE: "a gate is inconclusive and the policy says stop",
    NOT_TO_TUNE: "advise --exit-code: the verdict is not to tune",
    REFUSED: "promote, rollback or guard refused",
    WITHIN: "reproduce: differs, within tolerance",
    DIFFERS: "reproduce, --locked: differs beyond tolerance",
    NOWHERE: "a pin, input or environment is nowhere to be found",
    STAGE_FAILED: "a stage failed; the path of its log is printed",
    STOPPED: "stopped, resumable (SIGINT, SIGTERM, preemption)",
    BUDGET: "a budget was reached, resumable",
    CORRUPT: "digest mismatch: corrupt or tampered object",
    WAITED: "waited too long for another build",
    UNREACHABLE: "a remote, database or endpoint could not be reached",
}

# The family of a code (the word before the dot) decides its exit.
FAMILIES: dict[str, int] = {
    "bug": BUG,
    "usage": USAGE,
    "spec": INVALID,
    "input": INVALID,
    "lock-stale": OUT_OF_DATE,
    "lock": UNREADABLE,
    "guard": REFUSED,
    "differs": DIFFERS,
    "nowhere": NOWHERE,
    "stage": STAGE_FAILED,
    "stopped": STOPPED,
    "corrupt": CORRUPT,
    "waited": WAITED,
    "disk": STAGE_FAILED,
    "remote": UNREACHABLE,
}


class Where(NamedTuple):
    """A place in a file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])


class Problem(NamedTuple):
    """One thing that is wrong: what, where, and what to do."""

    code: str
    text: str
    where: Where | None = None
    fix: str = ""
    field: str = ""  # the spec field to blame, where the place is not known yet

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else (f"{self.field}: " if self.field else "")
        return f"{place}{self.text}" + (f"\n  {self.fix}" if self.fix else "")


class EmbspecError(Exception):
    """Everything a user can cause, all problems of a file at once."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    @property
    def exit(self) -> int:
        """The exit code: the first problem's family decides."""
        return FAMILIES[self.problems[0].code.split(".")[0]]


def fail(code: str, text: str, where: Where | None = None, fix: str = "", field: str = "") -> EmbspecError:
    """One problem as an error, to be raised."""
    return EmbspecError(Problem(code, text, where, fix, field))
