"""What a time looks like: the same forms under each version of Python."""
from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.stages.times import FIRST, seconds

NOON = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize(("text", "found"), [
    ("2026-03-01", NOON.replace(hour=0, minute=0)),
    ("20260301", NOON.replace(hour=0, minute=0)),
    (" 2026-03-01T12:30 ", NOON),
    ("2026-03-01 12:30", NOON),
    ("2026-03-01t12:30:00z", NOON),
    ("2026-03-01T12:30:00Z", NOON),
    ("20260301T123000Z", NOON),
    ("2026-03-01T1230", NOON),
    ("2026-03-01T12", NOON.replace(minute=0)),
    ("2026-03-01T13:30:00+01:00", NOON),
    ("2026-03-01T13:30:00+0100", NOON),
    ("2026-03-01 13:30:00+01", NOON),
    ("2026-03-01 08:00:00 -0430", NOON),
    ("2026-03-01T12:30:00.5Z", NOON.replace(microsecond=500000)),
    ("2026-03-01T12:30:00,250", NOON.replace(microsecond=250000)),
    ("2026-03-01T12:30:00.1234567Z", NOON.replace(microsecond=123456)),
    ("1772368200", NOON),
    ("1772368200.5", NOON.replace(microsecond=500000)),
    ("1.7723682e9", NOON),
    ("0001-01-01", FIRST),
    ("9999-12-31T23:59:59", datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
])
def test_times(text: str, found: datetime) -> None:
    """A day, a day with a time of it, a zone, and seconds; without a zone it is UTC."""
    assert seconds(text) == (found - FIRST).total_seconds()


@pytest.mark.parametrize("text", [
    "", "today", "01.03.2026", "2026-3-1", "2026-03", "2026-13-01", "2026-02-30", "0000-01-01", "2026-0301",
    "202603-01", "2026-W09", "2026-W09-7", "2026W097", "2026-060",  # of weeks Python 3.10 knows nothing
    "2026-03-01T24:00", "2026-03-01T25:00", "2026-03-01T12:60", "2026-03-01T12:30:60",  # 24:00 only 3.13 does
    "2026-03-01x12:30", "2026-03-01T", "2026-03-01  12:30", "2026-03-01T12:30.5", "2026-03-01T12:3000",
    "2026-03-01T1230:00", "2026-03-01T12:30:00.", "2026-03-01T12:30:00 UTC", "2026-03-01T12:30+24:00",
    "2026-03-01T12:30+01:60", "2026-03-01T12:30+01:00:30", "2026-03-01Z", "2026-03-01+01:00", "2026-03-01T12:30+1",
    "\u0662\u0660\u0662\u0666-03-01", "nan", "inf", "-inf", "1e400", "1e15",
])
def test_no_times(text: str) -> None:
    """What some version of Python would refuse, or take for what nobody meant, is no time in any."""
    assert seconds(text) is None


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.datetimes(), st.sampled_from(("seconds", "microseconds")), st.sampled_from("T "),
       st.one_of(st.none(), st.integers(-1439, 1439)))
def test_what_python_writes_is_read(when: datetime, exact: str, between: str, zone: int | None) -> None:
    """`isoformat` of any moment, with any zone of whole minutes."""
    ahead = timezone.utc if zone is None else timezone(timedelta(minutes=zone))
    when = (when if exact == "microseconds" else when.replace(microsecond=0)).replace(tzinfo=ahead)
    text = when.isoformat(sep=between, timespec=exact) if zone is not None else when.replace(tzinfo=None).isoformat()
    found = seconds(text)
    assert found is not None and math.isclose(found, (when - FIRST).total_seconds(), rel_tol=0, abs_tol=0)
