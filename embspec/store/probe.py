"""What `doctor` asks: whether the store keeps what is written there, and what `auto` means here."""
from __future__ import annotations

import os
from collections.abc import Mapping

from embspec.plan.canonical import plain
from embspec.plan.values import digest_of
from embspec.store.objects import Objects
from embspec.store.places import store_folder


def store_probe(environ: Mapping[str, str] = os.environ) -> tuple[str, bool]:
    """Where the store lies, and whether what is written there reads back the same."""
    objects = Objects(store_folder(environ))
    text = "embspec doctor\n"
    return objects.store, objects.text(digest_of(objects.put(text.encode()))) == text


def numerics() -> tuple[str, str, str]:
    """What `auto` means on this machine: profile, threads, and the device they are of."""
    from embspec.store.machine import PROFILE, THREADS, device, settled

    return plain(settled(PROFILE)), str(plain(settled(THREADS))), device()
