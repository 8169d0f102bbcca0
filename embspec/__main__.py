"""The door: `--version`, a build with nothing to do, else on to the commands."""
from __future__ import annotations

import os
import sys

import embspec

# A build with nothing to do means the same under each of these.
_PLAIN = {"--locked", "--no-run", "--json", "-q", "--quiet"}


def main() -> None:
    """Run the command line."""
    args = sys.argv[1:]
    if args == ["--version"]:
        print(f"embspec {embspec.__version__}")
    elif args[:1] != ["build"] or not _no_op(args[1:]):
        from embspec.cli.main import run

        run()


def _no_op(args: list[str]) -> bool:
    """Whether there is nothing to build; then that was said. Anything else is left to the command."""
    specs = [a for a in args if a not in _PLAIN and a != "--spec"]
    if len(specs) > 1 or any(not s.endswith((".yaml", ".yml")) for s in specs):
        return False
    from embspec.errors import EmbspecError
    from embspec.lock.text import read
    from embspec.plan import words
    from embspec.plan.nodes import expand
    from embspec.plan.plan import Recipes, plan
    from embspec.plan.values import Wish
    from embspec.stages.street import INTRODUCED, SHARED, STREET
    from embspec.store import memo
    from embspec.store.places import find_spec, places, store_folder
    from embspec.store.world import DiskWorld

    try:
        at = places(find_spec(specs[0] if specs else None))
        if (spec := memo.load(at)) is None:
            return False
        with open(at.lock, encoding="utf-8") as file:
            lock = read(file.read(), at.lock)
        world = DiskWorld(at, store_folder(os.environ), reread=os.environ.get("CI") == "true")
        now = plan(expand(STREET, spec.values), lock.blocks, world, Wish(), Recipes(SHARED, INTRODUCED))
    except (EmbspecError, OSError, ValueError):
        return False  # the command meets it again and says it in full
    if not now.idle:
        return False
    if "--json" in args:
        print(words.as_json(words.plan_json(at, now, lock.blocks, 0)))
    elif not {"-q", "--quiet"} & set(args):
        print(words.up_to_date(at.name, now, world.objects.text), file=sys.stderr)
    return True


if __name__ == "__main__":
    main()
