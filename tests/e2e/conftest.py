"""A project to do harm to."""
from __future__ import annotations

from tests.support.harbour import built, first_build, harbour

__all__ = ["built", "first_build", "harbour"]
