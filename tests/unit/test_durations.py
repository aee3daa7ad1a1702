"""Durations are read as Prometheus reads them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("500ms", 0.5),
        ("30s", 30),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1w", 604800),
        ("365d", 31536000),
    ],
)
def test_durations_are_those_of_prometheus(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "1.5h", "30m1h", "1h 30m", "-5m", "5min", "1y1ms", "٣s", "1s\n", "9" * 50 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"it is (not a duration|longer)"):
        parse_duration(text)


@settings(deadline=None)
@given(st.integers(0, 365 * 86_400_000))
def test_a_duration_written_is_read_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@pytest.mark.parametrize("seconds", [0.0001, -1.0, 1e12])
def test_what_cannot_be_written_as_a_duration(seconds: float) -> None:
    with pytest.raises(ValueError, match="no duration of whole milliseconds"):
        format_duration(seconds)
