"""Whatever people write is understood or refused by name: files, durations, matchers; what is in a URL or a header."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.ids import stream_kind, stream_uuid
from gateway import filters
from gateway.acting import versions_of
from gateway.refusals import Refusal
from projections.references import BadCursor, cursor_time, incident_key, read_cursor, write_cursor
from schemas.config_dump import dump_config
from schemas.config_errors import ConfigErrors
from schemas.config_files import parse_config, parse_documents
from schemas.durations import format_duration, parse_duration
from schemas.matchers import BadMatcher, format_matcher, parse_matchers
from tests.anything import FIXED, TEXTS, documents

W = TypeVar("W")
V = TypeVar("V")

# -- configuration -------------------------------------------------------------------------------------------------


@FIXED
@given(st.dictionaries(st.text(max_size=20), TEXTS, max_size=3))
def test_documents_are_understood_together_or_refused_with_places(written: dict[str, str]) -> None:
    try:
        parse_documents(written, {})
    except ConfigErrors as refused:
        assert_places(refused, written)


def test_a_document_with_a_few_changes_is_refused_in_their_place_or_comes_out_as_it_went_in() -> None:
    seen: Counter[str] = Counter()

    @settings(FIXED, max_examples=400)
    @given(documents())
    def read(text: str) -> None:
        try:
            objects = parse_config(text, "x.yaml")
        except ConfigErrors as refused:
            assert_places(refused, {"x.yaml": text})
            seen.update(re.sub("`[^`]*`|[0-9]+", "_", error.problem) for error in refused.errors)
            return
        seen["understood"] += 1
        assert parse_config(dump_config(objects.values()), "x.yaml") == objects

    read()
    assert seen["understood"] > 5, seen
    assert len(seen) > 25, seen


def assert_places(refused: ConfigErrors, written: dict[str, str]) -> None:
    assert refused.errors
    for error in refused.errors:
        assert error.file in written
        assert error.problem and error.remedy
        assert 1 <= error.line <= len(written[error.file].splitlines()) + 2
        assert error.column >= 1


AMOUNTS = st.lists(st.integers(0, 500), min_size=7, max_size=7).map(
    lambda counts: "".join(
        f"{n}{unit}" for n, unit in zip(counts, ["y", "w", "d", "h", "m", "s", "ms"], strict=True) if n
    )
)


@FIXED
@given(st.text() | st.text(alphabet="0123456789ywdhms. -", max_size=40) | AMOUNTS)
@example("1y")
@example("1y1ms")
@example("1d12h0m5s250ms")
@example("99999999999999999999s")
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError as refused:
        assert str(refused).startswith("it is ")
        return
    assert 0 <= seconds <= 365 * 86_400
    assert parse_duration(format_duration(seconds)) == seconds


PIECES = st.sampled_from(
    [
        "a",
        "severity",
        "=",
        "!=",
        "=~",
        "!~",
        '"',
        "\\",
        "\\n",
        '\\"',
        ",",
        "{",
        "}",
        " ",
        "(",
        ".*",
        "[[:alpha:]]",
        "(?i)x",
    ]
)


@FIXED
@given(
    st.text()
    | st.lists(PIECES, max_size=9).map("".join)
    | st.from_regex(r'\{?a(=|!=|=~|!~)"?[^"\\]*"?,?\}?', fullmatch=True)
)
@example('{team=~"a|b", env!=dev, x="a\\"b\\n\\\\",}')
@example('a=~"(?=x)"')
@example('a=~"(a)\\1"')
@example('a=~"' + "(" * 200 + ")" * 200 + '"')
def test_any_text_is_matchers_or_refused(text: str) -> None:
    try:
        matchers = parse_matchers(text)
    except BadMatcher as refused:
        assert refused.problem and refused.remedy
        return
    assert parse_matchers(",".join(map(format_matcher, matchers))) == matchers


# -- in URLs and headers -------------------------------------------------------------------------------------------

TAGS = st.lists(
    st.sampled_from(['"4"', 'W/"4"', "*", '"', '""', '"x"', "4", " ", '"' + "9" * 30 + '"', '"٤"']), max_size=4
)


@FIXED
@given(st.none() | st.text() | TAGS.map(",".join))
@example('"4", "5"')
@example('W/"4"')
@example("*")
def test_any_text_is_entity_tags_or_refused(text: str | None) -> None:
    versions = accepted(versions_of, text)
    if versions is not None and text is not None:
        assert all(f'"{version}"' in text or '"0' in text for version in versions)


MOMENTS = st.datetimes(timezones=st.timezones() | st.none()).map(lambda at: at.isoformat())


@FIXED
@given(
    st.text()
    | MOMENTS
    | st.sampled_from(["9999-12-31T23:59:59-01:00", "1969-12-31T23:59:59Z", "2026-W10-1", "20260302"])
)
def test_any_text_is_a_time_with_its_zone_or_refused(text: str) -> None:
    at = accepted(lambda words: filters.moment("from", words), text)
    if at is not None:
        assert datetime.fromisoformat(text).utcoffset() is not None
        assert at.tzinfo is UTC
        assert filters.FIRST_YEAR - 1 <= at.year <= filters.LAST_YEAR + 1


@FIXED
@given(
    st.lists(
        st.text() | st.sampled_from(["open,high", " Critical", "P1", "a=b", "=", "a=", ",,", "\0", "x" * 201]),
        max_size=22,
    )
)
def test_any_words_are_a_filter_or_refused(words: list[str]) -> None:
    for read in (filters.statuses, filters.alert_statuses, filters.severities, filters.labels):
        accepted(read, words)
    for word in words:
        accepted(filters.incident, word)
    named = accepted(lambda them: filters.names("team", them), words)
    assert named is None or (len(named) <= filters.MOST and all(named))


def accepted(read: Callable[[W], V], words: W) -> V | None:
    """What was understood; None for a refusal, which has to name its field."""
    try:
        return read(words)
    except Refusal as refused:
        assert (refused.name, bool(refused.field)) == ("bad_request_fields", True)
        return None


@FIXED
@given(
    st.text()
    | st.sampled_from(
        ["INC-7", " inc-7 ", "٧", "7" * 19, "incident-" + "a" * 36, "00000000-0000-4000-8000-000000000001"]
    )
)
def test_any_text_is_an_incident_or_nothing(text: str) -> None:
    key = incident_key(text)
    match key:
        case ("number", number):
            assert number < 2**63
        case ("id", stream):
            assert stream_kind(stream) == "incident"
            assert UUID(stream_uuid(stream))
        case _:
            assert key is None


PLACES = [r"incidents ([0-9]{1,18})", r"alerts (\S+) (\S+)"]


@FIXED
@given(
    st.text()
    | st.builds(write_cursor, st.just("incidents"), st.from_regex("[0-9]{1,18}", fullmatch=True))
    | st.builds(write_cursor, st.just("alerts"), st.text("ab\0 ", max_size=4), st.text("ab\0 ", max_size=4)),
    st.integers(0, 9),
)
def test_any_text_is_a_cursor_of_ours_or_refused(text: str, cut: int) -> None:
    for cursor in (text, text[cut:], text[:cut] + "é" + text[cut:]):
        for place in PLACES:
            try:
                found = read_cursor(cursor, re.compile(place))
            except BadCursor:
                continue
            assert "\0" not in "".join(found)
            assert write_cursor(place.partition(" ")[0], *found) == cursor.rstrip("=")


@FIXED
@given(st.text() | MOMENTS)
def test_any_text_in_a_cursor_is_a_time_or_refused(text: str) -> None:
    try:
        at = cursor_time(text)
    except BadCursor:
        return
    assert at.tzinfo is not None
