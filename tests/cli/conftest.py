"""A project to run commands in."""
from __future__ import annotations

from tests.support.harbour import built, first_build, harbour

__all__ = ["built", "first_build", "harbour"]
