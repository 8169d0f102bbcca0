"""The conditions of `retrain_when`: one canonical line each."""
from __future__ import annotations

import difflib
import re

from embspec.measure.gate import metric_problem, number_text
from embspec.measure.metrics import full_name

# A name -> its sign, and whether its number is a share of one; without a sign it stands alone.
CONDITIONS: dict[str, tuple[str, bool]] = {
    "corpus_changed": (">", True),
    "vocabulary_shift": (">", True),
    "base_revision_changed": ("", False),
    "age_days": (">", False),
    "evaluated_days": (">", False),
    "fresh_queries": ("<", False),
}
NUMBER = r"(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)"
PLAIN = re.compile(rf"([a-z_]+)(?:\s*([<>=!]+)\s*{NUMBER})?")
FALL = re.compile(
    rf"([a-z_]+@?\d*)\s+(?:on\s+([a-z0-9_-]+)\s*)?<\s*locked(?:\s*-\s*{NUMBER})?(?:\s*@\s*(\d+(?:\.\d+)?))?"
)
FORMS = "write `corpus_changed > 0.2`, `age_days > 180` or `recall@10 on fresh < locked - 0.03 @95`"


def canonical(text: str) -> tuple[str, str, str]:
    """The one spelling of a condition, or what is wrong with it and what to write."""
    line = " ".join(text.split())
    fall = FALL.fullmatch(line)
    if fall:
        return _fall(*fall.groups())
    plain = PLAIN.fullmatch(line)
    name = plain.group(1) if plain else line.split(" ")[0]
    if name not in CONDITIONS:
        near = difflib.get_close_matches(name, CONDITIONS, n=1)
        return "", f"`{name}` is no condition to retrain on" + (f"; did you mean `{near[0]}`?" if near else ""), FORMS
    sign, share = CONDITIONS[name]
    example = f"`{name} {sign} {'0.2' if share else '30'}`" if sign else f"`{name}` alone"
    if plain is None or (plain.group(2) or "") != sign:
        return "", f"`{line}` cannot be read as a condition", f"write {example}"
    if not sign:
        return name, "", ""
    if share and float(plain.group(3)) > 1:
        return "", f"{name} is a share from 0 to 1, not {plain.group(3)}", f"write {example}"
    return f"{name} {sign} {number_text(float(plain.group(3)))}", "", ""


def _fall(metric: str, suite: str | None, drop: str | None, confidence: str | None) -> tuple[str, str, str]:
    problem = metric_problem(metric)
    if problem:
        return "", problem, FORMS
    if confidence is not None and not 50 <= float(confidence) < 100:
        return "", f"a confidence of {confidence} is out of range", "write @95"
    words = [full_name(metric), *(["on", suite] if suite else []), "< locked"]
    words += ["-", number_text(float(drop))] if drop and float(drop) else []
    words += [f"@{number_text(float(confidence))}"] if confidence else []
    return " ".join(words), "", ""
