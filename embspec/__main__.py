"""The door: `--version`, a build with nothing to do, else on to the commands."""
from __future__ import annotations

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
    from functools import partial

    from embspec.errors import EmbspecError
    from embspec.lock.text import read
    from embspec.plan import words
    from embspec.plan.nodes import expand
    from embspec.plan.plan import Recipes, plan
    from embspec.plan.values import Wish
    from embspec.stages.street import INTRODUCED, SHARED, STREET
    from embspec.store.opened import opened

    try:
        if (of := opened(specs[0] if specs else None)) is None:
            return False
        lock = read(of.lock, of.at.lock)
        blocks = lock.blocks
        decide = partial(plan, expand(STREET, of.values), blocks, of.world, recipes=Recipes(SHARED, INTRODUCED))
        now = decide(Wish())
        if not now.idle or lock.dangling:
            return False
        retrained = partial(decide, Wish(retrain=True, publish=False))
        far = words.drift(now, retrained, of.world.objects.text, of.seconds)
    except (EmbspecError, OSError, ValueError):
        return False  # the command meets it again and says it in full
    if "--json" in args:
        print(words.as_json(words.plan_json(of.at, now, blocks, 0)))
    elif not {"-q", "--quiet"} & set(args):
        print(words.up_to_date(of.at.name, now, far), file=sys.stderr)
    return True


if __name__ == "__main__":
    main()
