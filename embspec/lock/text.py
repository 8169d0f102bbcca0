"""The lock's text: a strict reader and the canonical writer."""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from embspec.errors import EmbspecError, Problem, Where, fail
from embspec.plan.canonical import quoted, scalar
from embspec.plan.values import Block

FORMAT = "1"
HEAD = "# embspec.lock: written by embspec, commit it. After a merge conflict run: embspec lock --merge\n"
RESTORE = "restore the lock from git, or delete it to have it written anew"
_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
_MAPS = ("uses", "params", "pin", "out", "stat")
_ORDER = ("recipe", "uses", "params", "pin", "key", "out", "stat", "env")


class Lock(NamedTuple):
    """What the lock says; `unknown` are lines of a later minor version, which this one may read but not write."""

    blocks: Mapping[str, Block] = {}
    envs: Mapping[str, Mapping[str, str]] = {}
    unknown: tuple[Where, ...] = ()

    @property
    def dangling(self) -> list[str]:
        """The stages whose environment is not there: a merge took its block out."""
        return [name for name, block in self.blocks.items() if block.env and block.env not in self.envs]


def read(text: str, file: str) -> Lock:
    """The lock's values; refuses what embspec would not have written, with its line."""
    rows = _rows(text, file)
    line, _, first, version = next(rows, (1, 0, "", ""))  # before the rest: a newer format may look otherwise
    if first != "lock":
        raise fail("lock.syntax", "expected `lock: 1` as the first line", Where(file, line), RESTORE)
    if version != FORMAT:
        raise fail("lock.version", f"this lock has format {version}, this embspec reads format {FORMAT}",
                   Where(file, line), "use the embspec that wrote it, or a newer one")
    tree = _nest(rows, file)
    blocks, envs, unknown = {}, {}, []
    for name, (line, value) in tree.items():
        if not isinstance(value, dict):
            unknown.append(Where(file, line))
        elif name.startswith("env-"):
            envs[name] = _texts(value, file)
        else:
            blocks[name] = _block(value, file, unknown)
    return Lock(blocks, envs, tuple(unknown))


def _rows(text: str, file: str) -> Iterator[tuple[int, int, str, str]]:
    """Each line as (number, depth, key, scalar)."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(_MARKERS):
            raise fail("lock.conflict", "the lock has conflict markers", Where(file, number),
                       "run `embspec lock --merge`, or `embspec build`, which merges it first")
        if line.endswith("\r"):
            raise fail("lock.syntax", "this line ends as on Windows, with a carriage return", Where(file, number),
                       "let git keep the lock as it is: `*.lock -text` in .gitattributes, then check it out again")
        body = line.lstrip(" ")
        if not body or body[0] == "#":
            continue
        indent = len(line) - len(body)
        key, value, rest = _pair(body)
        if "\t" in line or indent % 2 or indent > 4 or rest:
            raise fail("lock.syntax", f"expected `name: value` in blocks of two spaces, found `{line.strip()}`",
                       Where(file, number), RESTORE)
        yield number, indent // 2, key, value


def _pair(body: str) -> tuple[str, str, bool]:
    """Key, value and whether the line is none of ours."""
    if body[0] == '"':
        try:
            key, end = json.JSONDecoder().raw_decode(body)
        except ValueError:
            return "", "", True
        rest = body[end:]
    else:
        colon = body.find(": ") if ": " in body else len(body) - 1
        key, rest = body[:colon], body[colon:]
    return key, rest[2:], not (rest == ":" or rest.startswith(": ")) or rest.endswith(" ")


_Tree = dict[str, tuple[int, "str | _Tree"]]


def _nest(rows: Iterator[tuple[int, int, str, str]], file: str) -> _Tree:
    root: _Tree = {}
    stack = [root]
    for number, depth, key, value in rows:
        if depth >= len(stack):
            raise fail("lock.syntax", f"`{key}` is indented under nothing", Where(file, number), RESTORE)
        del stack[depth + 1:]
        if key in stack[depth]:
            raise fail("lock.duplicate", f"`{key}` stands here twice", Where(file, number),
                       "a merge went wrong: take one side of the lock, then run: embspec build")
        if value:
            stack[depth][key] = (number, value)
        else:
            child: _Tree = {}
            stack[depth][key] = (number, child)
            stack.append(child)
    return root


def _block(tree: _Tree, file: str, unknown: list[Where]) -> Block:
    fields: dict[str, str | dict[str, str]] = {}
    for name, (line, value) in tree.items():
        if name not in _ORDER or isinstance(value, dict) != (name in _MAPS and name != "uses"):
            unknown.append(Where(file, line))
        elif isinstance(value, dict):
            fields[name] = _texts(value, file)
        elif name == "uses":
            words = value.split(" ")
            if len(words) % 2:
                raise fail("lock.syntax", f"expected names with recipes, found `{value}`", Where(file, line), RESTORE)
            fields[name] = dict(zip(words[::2], words[1::2], strict=True))
        else:
            fields[name] = value
    return Block(**fields)  # type: ignore[arg-type]


def _texts(tree: _Tree, file: str) -> dict[str, str]:
    """The lines of a mapping of scalars."""
    texts: dict[str, str] = {}
    for name, (line, value) in tree.items():
        if isinstance(value, dict):
            raise fail("lock.syntax", f"`{name}` has no value", Where(file, line), RESTORE)
        texts[name] = value
    return texts


def check_known(lock: Lock) -> None:
    """Refuse to change a lock that a newer embspec wrote lines into: they would be lost."""
    if lock.unknown:
        text = "this line was written by a newer embspec; this one reads the lock but must not write it"
        raise EmbspecError(*(Problem("lock.unknown", text, where, "use the newer embspec") for where in lock.unknown))


def write(lock: Lock, order: Sequence[str]) -> str:
    """The lock's canonical text: blocks in street order, then the environments they name."""
    check_known(lock)
    parts = [_render(name, _lines(lock.blocks[name])) for name in order if name in lock.blocks]
    used = {b.env for b in lock.blocks.values()}
    parts += [_render(name, [f"  {_key(k)}: {v}" for k, v in lock.envs[name].items()])
              for name in sorted(lock.envs) if name in used]
    return f"{HEAD}lock: {FORMAT}\n\n" + "\n".join(parts)


def _render(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{_key(name)}:", *lines, ""])


def _lines(block: Block) -> list[str]:
    lines = []
    for field in _ORDER:
        value = getattr(block, field)
        if field == "uses" and value:
            lines.append("  uses: " + " ".join(f"{n} {v}" for n, v in value.items()))
        elif isinstance(value, str):
            lines += [f"  {field}: {value}"] if value else []
        elif value and field != "uses":
            lines.append(f"  {field}:")
            lines += [f"    {_key(k)}: {v}" for k, v in value.items()]
    return lines


def _key(name: str) -> str:
    return name if " " not in name and scalar(name) == name else quoted(name)
