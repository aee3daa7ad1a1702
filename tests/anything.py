"""What may come from outside: near to what is right, and wrong in one or more places. For the properties of parsers."""

from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from domain.config import FieldMapping
from tests.gateway_world import SECURED

FIXED = settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
"""The same examples in every run."""

WORDS = st.sampled_from(
    ["firing", "resolved", "active", "ok", "RED", "critical", "4", "https://x.test/", "a=b", "password=hunter2", "%3Da"]
)
TIMES = st.sampled_from(
    [
        "2026-03-02T03:00:00Z",
        "2026-03-02t03:00:00.123456789+05:45",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-02-30T03:00:00Z",
        "2026-03-02T25:00:00Z",
        "2026-03-02T03:00:60Z",
        "2026-03-02T03:00:00",
        "2026-03-02",
        "yesterday",
        "",
    ]
)
LINKS = st.sampled_from(
    ["https://x.test/a", "http://u:hunter2@x.test/?token=hunter2", "javascript:alert(1)", "https://x.test/ a", "//x"]
) | st.text(alphabet="a/", min_size=50, max_size=60).map("https://x.test/".__add__)
TEXT = st.text(max_size=25) | st.text(st.characters(categories=["Cs", "Cc"]), max_size=3) | WORDS
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | TIMES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=15), inner, max_size=6),
    max_leaves=8,
)
NAMES = st.sampled_from(["alertname", "severity", "service", "team", "password", "", "a name too long"]) | st.text(
    max_size=6
)
LABELS = st.dictionaries(NAMES, TEXT | VALUES, max_size=7)
OBJECTS = st.dictionaries(st.text(max_size=15), VALUES, max_size=6)


def mostly(common: st.SearchStrategy[Any], *rare: st.SearchStrategy[Any], times: int) -> st.SearchStrategy[Any]:
    """`common` so many times as often as each of `rare`; `one_of` would take each as often."""
    return st.sampled_from(range(times + len(rare))).flatmap(lambda n: rare[n] if n < len(rare) else common)


def wrong(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """`right` most of the time, and now and then anything at all."""
    return mostly(right, VALUES, times=15)


MEMBERS = st.fixed_dictionaries(
    {"status": wrong(st.sampled_from(["firing", "resolved"])), "labels": wrong(LABELS)},
    optional={
        "annotations": wrong(
            st.fixed_dictionaries(
                {}, optional={"summary": TEXT, "runbook_url": LINKS, "dashboard": LINKS, "n": VALUES, "long": TEXT}
            )
        ),
        "startsAt": TIMES | VALUES,
        "endsAt": TIMES | VALUES,
        "generatorURL": LINKS | VALUES,
        "fingerprint": st.text(max_size=5) | st.just("5ef77f1f8a3ecfb8") | st.just("f" * 129) | VALUES,
    },
)
ALERTMANAGERS = st.fixed_dictionaries(
    {"version": wrong(st.just("4")), "alerts": wrong(st.lists(wrong(MEMBERS), max_size=4))},
    optional={"truncatedAlerts": st.integers(-1, 9) | VALUES, "groupLabels": OBJECTS},
)
ELASTICS = st.fixed_dictionaries(
    {
        "alert_name": wrong(st.text(min_size=1, max_size=25)),
        "alert_id": wrong(st.sampled_from(["7c1b:payments", ":", " ", "i" * 201])),
        "state": wrong(
            st.fixed_dictionaries(
                {"state": wrong(st.sampled_from(["active", "resolved", "Active"]))},
                optional={"timestamp": TIMES | VALUES},
            )
        ),
    },
    optional={
        "severity": TEXT | VALUES,
        "message": TEXT | VALUES,
        "tags": wrong(LABELS),
        "service": wrong(st.fixed_dictionaries({}, optional={"name": TEXT, "environment": VALUES})),
        "metadata": wrong(OBJECTS),
        "links": wrong(st.fixed_dictionaries({}, optional={"alert": LINKS, "app": LINKS})),
    },
)
FIELDS = ("fingerprint", "status", "severity", "title", "service", "summary", "time", "labels")
GENERICS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys((*FIELDS, "state", "name", "id", "priority", "service.name", "tags"), TEXT | VALUES),
        "labels": wrong(LABELS),
        "time": TIMES,
        "check": st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, TEXT | VALUES)) | st.lists(VALUES),
        "id": st.text(max_size=4) | st.just("i" * 201),
    },
)
PATHS = st.sampled_from(["check", "check.status", "check.0", "check.0.status", "service.name", "a..b", "99999999999"])
MAPPINGS = st.builds(
    FieldMapping,
    **dict.fromkeys(FIELDS, st.none() | PATHS),
    status_values=st.sampled_from([(), (("RED", "firing"), ("ok", "resolved"))]),
    severity_values=st.sampled_from([(), (("RED", "critical"),)]),
)

# -- configuration -------------------------------------------------------------------------------------------------

Place = tuple[str | int, ...]
RIGHT: dict[str, Any] = yaml.safe_load(SECURED)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            None,
            True,
            0,
            1,
            -1,
            10**6,
            1.5,
            "",
            "x",
            "nobody",
            "platfrom",
            "5 minutes",
            "5m",
            "0s",
            "2y",
            "5",
            "...",
            "\n",
        ),
        *([], {}, [[]], [{}], ["x"], {"x": 1}, "a" * 300, "ada@@x", "no", "2026-03-02", "\0", "\ud800", "é", "generc"),
        *('severity=~"("', 'a=~"(?i)x"', 'a=~"[[:alpha:]]"', 'a=~"(?=x)"', 'a="b', 'a=b"c', "a", '{a="1", b!~x,}'),
        *({"user": "ada", "team": "platform"}, {"team": "platform"}, {"source": "elastic", "mapping": {"title": "a"}}),
        *(["sha256:" + "a" * 64], "sha256:" + "a" * 64, {"matchers": ["a=b"]}, [{"routes": [{"routes": []}]}]),
    ]
)


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place in a document."""
    yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*at, key))


def changed(value: Any, place: Place, new: Any, gone: bool) -> Any:
    """A copy of a document with another value at a place, or with nothing there."""
    if not place:
        return new
    head, *rest = place
    copy = value.copy()
    if gone and not rest:
        del copy[head]
    else:
        copy[head] = changed(value[head], tuple(rest), new, gone)
    return copy


@st.composite
def documents(draw: st.DrawFn) -> str:
    """The configuration of the stories with up to three changes, as YAML or as JSON, which is YAML."""
    value: Any = RIGHT
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        place = draw(st.sampled_from(list(places(value))[1:] or [()]))
        value = changed(value, place, draw(ODD), gone=draw(st.integers(0, 3)) == 3)
    dumped: str = yaml.dump(value, allow_unicode=draw(st.booleans()), default_flow_style=draw(st.booleans()))
    return dumped


CUT = st.tuples(
    st.integers(0, len(SECURED)),
    st.sampled_from(
        ["", ":", "- ", "{", "&a ", "*a", "!!python/x ", "\t", "\0", "\n---\n", "? ", "a: 1\na: 2\n", "[" * 70]
    ),
)
TEXTS = st.text() | documents() | CUT.map(lambda cut: SECURED[: cut[0]] + cut[1] + SECURED[cut[0] :])
