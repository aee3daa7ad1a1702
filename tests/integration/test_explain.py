"""`tocsin explain` and the route behind it: from files, from what runs, at a past instant; JSON and what people see."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import people
from compose.cli import main
from compose.client import Client
from gateway.examples import WEBHOOKS
from gateway.past import Past
from streams.store.postgres import PostgresStore
from tests.gateway_world import KEYS, GatewayWorld
from tests.integration.test_tocsin_commands import handled
from tests.memory_world import MemoryWorld
from tests.unit.test_explaining import BOB, CASES, RICH, explained, live, told_of
from tests.world import CONFIG, alert, webhook

EXPLAIN = "/api/v1/explain"


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "all.yaml").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def tocsin(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    transport = httpx.MockTransport(lambda request: handled(world, request))
    monkeypatch.setattr(people, "Client", lambda access: Client(access, transport))

    def run(*arguments: str, stdin: str | None = None) -> Result:
        with capture_logs():
            access = ["--url", "http://gateway.test", "--key", KEYS["viewer"]]
            return CliRunner().invoke(main, ["explain", *arguments, *access], input=stdin)

    return run


def offline(files: Path, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["explain", "--config", str(files), *arguments], input=stdin)


def asked(files: Path, *arguments: str, stdin: str | None = None) -> Any:
    done = offline(files, "--json", "--at", "2026-03-02T03:00:00Z", *arguments, stdin=stdin)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def post(world: GatewayWorld, body: Any, role: str = "viewer") -> Any:
    return world.request("POST", EXPLAIN, KEYS[role], json=body)


# -- from files ---------------------------------------------------------------------------------------------------


def test_the_json_is_what_programs_expect(files: Path) -> None:
    said = asked(files, "alertname=Down", "service=payments", "patience=yes", "severity=critical")
    (route,) = said["routes"]
    assert {name: route[name] for name in ("path", "team", "service", "policy", "group_by", "group_key")} == {
        "path": '{}/{patience="yes"}',
        "team": "platform",
        "service": "payments",
        "policy": "two-steps",
        "group_by": ["alertname", "service"],
        "group_key": '{}/{patience="yes"}:{alertname="Down", service="payments"}',
    }
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == (30.0, None, None)
    assert said["suppressed_by"] == []
    assert [(page["at"], page["who"], page["via"], page["because"]) for page in said["pages"]] == [
        ("2026-03-02T03:00:30Z", "ada", "email", "step 1 of two-steps, loop 1: team:platform/primary"),
        ("2026-03-02T03:05:30Z", "grace", "email", "step 2 of two-steps, loop 1: team:platform/secondary"),
        ("2026-03-02T03:15:30Z", "ada", "email", "step 1 of two-steps, loop 2: team:platform/primary"),
        ("2026-03-02T03:20:30Z", "grace", "email", "step 2 of two-steps, loop 2: team:platform/secondary"),
    ]


@pytest.mark.parametrize(
    "written",
    [
        '{alertname="Down", service="payments"}',
        '{"alertname": "Down", "service": "payments"}',
        '{"labels": {"alertname": "Down", "service": "payments"}, "startsAt": "2026-03-02T02:00:00Z"}',
        '[{"labels": {"alertname": "Down", "service": "payments"}, "status": {"state": "active"}}]',
        "alertname=Down service=payments",
        'alertname="Down", service="payments"',
        json.dumps(webhook([{"status": "firing", "labels": {"alertname": "Down", "service": "payments"}}])),
        '{"title": "Down", "service": "payments", "status": "open"}',
        "'alertname=\"Down\"' service='payments'",
    ],
)
def test_an_alert_may_be_written_in_every_way(files: Path, written: str) -> None:
    for said in (
        asked(files, stdin=written),
        asked(files, written) if written[0] in "{[" else asked(files, stdin=written),
    ):
        assert said["routes"][0]["group_key"] == '{}:{alertname="Down", service="payments"}'
        assert said["incident"]["fate"] == "opens"


def test_every_sources_own_webhook_is_understood(files: Path) -> None:
    seen = {source: asked(files, stdin=json.dumps(body))["integration"] for source, body in WEBHOOKS.items()}
    assert seen == {"alertmanager": "alertmanager", "elastic": "elastic", "generic": "generic"}


def test_people_see_every_matcher_that_was_tried(files: Path) -> None:
    done = offline(files, "alertname=NobodyHome", "service=payments")
    assert '✗ patience="yes" (there is none)' in done.output
    assert '✓ alertname=~"Nobody.*"  ← taken' in done.output
    assert "step 1 of nobody-then-grace, loop 1, reaches nobody" in done.output
    assert "grace by email" in done.output
    assert "Yes" not in done.output


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "There is nothing to explain."),
        ("nonsense", "A label is not written name=value."),
        ("severity!=critical", "A label is not written name=value."),
        ('{severity=~"critical"}', "not conditions"),
        ("alertname=A service==payments", "There are two equals signs after the label `service`."),
        ('{alertname="A", service==payments}', "There are two equals signs after the label `service`."),
        ('alertname="A', "A quote in the labels does not end."),
        ('alertname="A"b', "The value of the label `alertname` has a quote that is not one of two around it."),
        ('{alertname="A}', "a double quote is not closed"),
        ("pod=a alertname=A pod=b", "The label `pod` is given twice. Name each label once."),
        ('{pod="a", alertname="A", pod="b"}', "The label `pod` is given twice. Name each label once."),
        ("@severity=critical", "`@severity` is not a label: facts are read of the alert. Write `severity=...`."),
        ('{@severity="critical"}', "`@severity` is not a label: facts are read of the alert. Write `severity=...`."),
        ("@source=elastic", "Name the `source` beside the labels (`--source`)."),
        ("@integration=backup", "Name the `integration` beside the labels (`--integration`)."),
        ("@annotation.runbook=x", "Give the alert as JSON, with `labels` and `annotations`."),
        ('{"alertname": "A", "@team": "search"}', "`@team` is not a label: facts are read of the alert."),
        ("[1]", "An alert is not an object."),
        ("{}", "nothing identifies the alert"),
        ('{"alerts": []}', "There is no alert in it."),
        ('{"alerts": [{"status"', "not JSON"),
    ],
)
def test_what_is_no_alert_is_refused_with_a_sentence(files: Path, written: str, said: str) -> None:
    done = offline(files, stdin=written)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("alertname=A", "service==payments"), "There are two equals signs after the label `service`."),
        (("alertname=A", 'service="pay'), "The value of the label `service` has a quote that is not one of two"),
        (("pod=a", "alertname=A", "pod=b"), "The label `pod` is given twice."),
        (("alertname=A", "@severity=critical"), "`@severity` is not a label: facts are read of the alert."),
        (("alertname=A", "severity!=critical"), "A label is not written name=value."),
    ],
)
def test_words_that_are_no_labels_are_refused_with_a_sentence(files: Path, words: tuple[str, ...], said: str) -> None:
    done = offline(files, *words)
    assert (done.exit_code, said in done.stderr) == (1, True), done.output


def test_values_may_stand_in_quotes(files: Path) -> None:
    words = ('alertname="=A b"', 'service="pay \\"b\\""')
    for given in (
        asked(files, *words),
        asked(files, stdin=" ".join(words)),
        asked(files, stdin=f"{words[0]} '{words[1]}'"),
        asked(files, f"{{{', '.join(words)}}}"),
    ):
        assert given["labels"] == {"alertname": "=A b", "service": 'pay "b"'}


def test_a_word_may_hold_an_apostrophe(files: Path) -> None:
    assert asked(files, "alertname=it's")["labels"] == {"alertname": "it's"}


def test_what_a_missed_heartbeat_would_do_is_explained(files: Path, world: GatewayWorld) -> None:
    route = "    - {matchers: ['@integration=\"heartbeat\"', '@source=\"heartbeat\"'], policy: search-only}\n"
    routed = CONFIG.replace("  routes:\n", f"  routes:\n{route}")
    (files / "all.yaml").write_text(routed)
    said = asked(files, "--integration", "heartbeat", "alertname=HeartbeatMissed", "heartbeat=backup")
    assert (said["integration"], said["routes"][0]["policy"]) == ("heartbeat", "search-only")
    world.configure(world.config.replace("  routes:\n", f"  routes:\n{route}"))
    labels = {"alertname": "HeartbeatMissed", "heartbeat": "backup"}
    told = post(world, {"alert": labels, "integration": "heartbeat"}).json()
    assert (told["integration"], told["routes"][0]["policy"]) == ("heartbeat", "search-only")


@pytest.mark.parametrize(
    ("written", "at"),
    [("2026-12-01", "2026-12-01T00:00:00Z"), ("2026-12-01 03:00", "2026-12-01T03:00:00Z")],
)
def test_a_time_may_be_a_date(files: Path, written: str, at: str) -> None:
    assert json.loads(offline(files, "--json", "--at", written, "alertname=A").stdout)["at"] == at


@pytest.mark.parametrize(("written", "hours"), [("-2h", -2.0), ("+30m", 0.5), ("-1d12h", -36.0)])
def test_a_time_may_be_so_long_from_now(files: Path, written: str, hours: float) -> None:
    done = offline(files, "--json", "--at", written, "alertname=A")
    assert done.exit_code == 0, done.output
    wanted = datetime.now(UTC) + timedelta(hours=hours)
    assert abs(datetime.fromisoformat(json.loads(done.stdout)["at"]) - wanted) < timedelta(minutes=1)


@pytest.mark.parametrize("written", ["2026-13-01", "-", "-2 hours", "+9y", "yesterday", "2h"])
def test_what_is_no_time_is_refused(files: Path, written: str) -> None:
    done = offline(files, "--at", written, "alertname=A")
    assert done.exit_code == 2
    assert "write 2026-03-02T03:00:00Z, 2026-03-02, -2h or +30m." in done.stderr


def test_an_alert_that_goes_several_ways_is_explained_on_each(files: Path) -> None:
    (files / "all.yaml").write_text(BOB)
    said = asked(files, "alertname=Both", "service=payments", "severity=critical")
    first, second = (route["path"] for route in said["routes"])
    assert [(why["route"], why["rule"]) for why in said["suppressed_by"]] == [(first, "night")]
    assert said["suppressed"] is False
    assert [(page["who"], page["route"], page["because"]) for page in said["pages"]] == [
        ("bob", second, f"step 1 of bob-only, loop 1: user:bob, by {second}")
    ]
    assert [(way["route"], way["suppressed"], way["incident"]["fate"]) for way in said["ways"]] == [
        (first, True, "waits"),
        (second, False, "opens"),
    ]
    assert said["incident"]["fate"] == "opens", "that of the way on which something is said"
    assert said["exhausted_at"] == "2026-03-02T03:05:00Z"


def test_people_see_each_way(files: Path) -> None:
    (files / "all.yaml").write_text(BOB)
    at = ("--at", "2026-03-02T03:00:00Z")
    lines = offline(files, *at, "alertname=Both", "service=payments", "severity=critical").output.splitlines()
    shown = [line for line in lines if line.startswith(("Route", "Quiet", "Incident", "Pages"))]
    assert [line.split()[0] for line in shown] == [*("Route", "Quiet", "Incident") * 2, "Pages"]
    assert "team search" in shown[0] and "Yes: its route does not speak at this time" in shown[1]
    assert "opens no incident" in shown[2]
    assert "team platform" in shown[3] and "No: nothing suppresses it" in shown[4]
    assert "opens a new incident" in shown[5]
    assert "bob by email" in shown[6] and 'by {}/{severity="critical"}' in " ".join(lines)


def test_it_is_suppressed_only_if_it_is_on_all_ways(files: Path) -> None:
    (files / "all.yaml").write_text(BOB.replace("policy: bob-only}", "policy: bob-only, mute_time_intervals: [night]}"))
    said = asked(files, "alertname=Both", "service=payments", "severity=critical")
    assert (said["suppressed"], said["pages"], said["incident"]["fate"]) == (True, [], "waits")
    assert [why["route"] for why in said["suppressed_by"]] == [route["path"] for route in said["routes"]]


def test_a_route_that_it_takes_only_when_it_begins_again(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    own, before = (
        """
    - {matchers: ['alertname="Both"']}
""",
        """
    - {matchers: ['service="payments"'], team: search, policy: search-only, continue: true}
""",
    )
    plain = world.config
    world.configure(plain.replace("  routes:\n", f"  routes:{own}"))
    body = webhook([alert("Both", {"service": "payments"}, world.now())])
    world.post(body)
    world.expect_page("ada", "INC-1")
    world.configure(plain.replace("  routes:\n", f"  routes:{before.rstrip()}{own}"))
    said = post(world, {"alert": body}).json()
    _, taken = (route["path"] for route in said["routes"])
    assert [(way["route"], way["incident"]["name"]) for way in said["ways"]] == [(taken, "INC-1")]
    shown = tocsin(stdin=json.dumps(body)).stdout
    assert "It fires already, in INC-1" in shown
    assert "does not go this way until it begins again" in shown


def test_files_that_are_wrong_are_refused_with_their_lines(files: Path) -> None:
    (files / "all.yaml").write_text(CONFIG.replace("policy: two-steps}", "policy: two-stepz}", 1))
    done = offline(files, "alertname=Down")
    assert done.exit_code == 1
    assert "all.yaml:11:" in done.stderr


# -- from what runs -----------------------------------------------------------------------------------------------


def test_what_runs_is_asked_for_what_it_knows(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    silence = world.silence(30, 0, service="catalogue")
    joins = json.loads(tocsin("--json", "alertname=Down", "service=payments", "pod=2").stdout)
    assert joins["incident"]["because"] == "It joins INC-1, which its group has open"
    assert [(page["who"], page["step"]) for page in joins["pages"]] == [("grace", 2), ("ada", 1), ("grace", 2)]
    quiet = json.loads(tocsin("--json", "alertname=Down", "service=catalogue").stdout)
    assert [(why["reason"], why["rule"]) for why in quiet["suppressed_by"]] == [("silence", silence)]
    assert (quiet["suppressed"], quiet["incident"]["fate"], quiet["pages"]) == (True, "waits", [])
    assert [why["revision"] for why in quiet["suppressed_by"]] == [world.store.config().revision]
    shown = tocsin("alertname=Down", "service=catalogue").stdout
    assert f"Yes: silence {silence} matches until" in shown
    assert f"(configuration {world.store.config().revision})" in shown


def test_a_past_instant_is_as_it_was(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    world.fire("Down", service="payments")
    then = world.now()
    world.advance(minutes=10)
    world.ack("INC-1")
    world.end("Down", service="payments")
    world.silence(30, 0, service="payments")
    world.configure(world.config.replace("policy: two-steps", "policy: search-only"))
    now = json.loads(tocsin("--json", "alertname=Down", "service=payments", "pod=2").stdout)
    assert (now["incident"]["fate"], now["routes"][0]["policy"], now["suppressed"]) == ("waits", "search-only", True)
    at = ("--at", (then + timedelta(seconds=1)).isoformat())
    past = json.loads(tocsin("--json", *at, "alertname=Down", "service=payments", "pod=2").stdout)
    assert (past["incident"]["name"], past["incident"]["status"]) == ("INC-1", "triggered")
    assert (past["routes"][0]["policy"], past["suppressed"], past["pages"][0]["who"]) == ("two-steps", False, "grace")
    assert 0 < past["config_revision"] < now["config_revision"]
    while world.next_message("ada") or world.next_message("grace"):
        pass


def test_a_time_to_come_takes_what_is_set_for_it(world: GatewayWorld) -> None:
    silence = world.silence(30, 60, service="payments")
    later = (world.now() + timedelta(minutes=70)).isoformat()
    said = post(world, {"alert": {"alertname": "Down", "service": "payments"}, "at": later}).json()
    assert [why["rule"] for why in said["suppressed_by"]] == [silence]
    assert said["notes"]


def test_what_inhibits_is_named_also_in_the_past(world: GatewayWorld) -> None:
    sides = "{source_matchers: ['severity=\"critical\"'], target_matchers: ['severity=\"info\"'], equal: [service]}"
    rule = f"\ninhibition_rules:\n  worse: {sides}\n"
    world.configure(world.config + rule)
    world.fire("Down", service="payments")
    world.expect_page("ada", "INC-1")
    asked = {"alert": {"alertname": "Slow", "service": "payments", "severity": "info"}}
    now = post(world, asked).json()
    at = world.now().isoformat()
    world.advance(seconds=5)
    world.end("Down", service="payments")
    assert post(world, asked).json()["suppressed_by"] == []
    past = post(world, {**asked, "at": at}).json()
    assert past["suppressed_by"] == now["suppressed_by"]
    assert [(why["reason"], why["rule"]) for why in now["suppressed_by"]] == [("inhibition", "worse")]


def test_the_past_is_found_in_postgres_too(store_dsn: str) -> None:
    world = MemoryWorld(PostgresStore(store_dsn), RICH)
    live(world, [("fire", 0), ("hush", 2), ("fire", 2), ("end", 0), ("fire", 0), ("fire", 1)])
    at, then = world.now(), [explained(world, number) for number in range(len(CASES))]
    world.advance(seconds=5)
    live(world, [("end", 0), ("end", 2), ("fire", 5), ("ack", 0), ("wait", 310)])
    world.configure(CONFIG)
    past = Past(world.store, at)
    assert [[way.suppressed_by for way in explained(world, number, past, at).ways] for number in range(len(CASES))] == [
        [way.suppressed_by for way in one.ways] for one in then
    ]
    assert [told_of(explained(world, n, past, at)) for n in range(len(CASES))] == [told_of(one) for one in then]
    world.store.close()


def test_a_webhook_of_several_alerts_is_explained_whole(world: GatewayWorld) -> None:
    body = webhook([alert("Down", {"service": "payments", "pod": pod}, world.now()) for pod in ("1", "2")])
    said = post(world, {"alert": body}).json()
    assert said["incident"]["fate"] == "opens"
    assert [other["incident"]["because"] for other in said["others"]] == [
        "It joins the incident that an alert before it opens, which its group has open"
    ]
    assert world.store.next_numbers(1) == [1], "nothing is taken, nothing is saved"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"alert": 7}, "alert"),
        ({"alert": {}}, "labels"),
        ({"alert": {"alertname": "A"}, "integration": "nobody"}, "integration"),
        ({"alert": {"alertname": "A", "@severity": "critical"}}, "labels"),
        ({"alert": {"labels": {"alertname": "A", "@severity": "critical"}}, "source": "generic"}, "labels"),
        ({"alert": {"alertname": "A"}, "source": "nothing"}, "source"),
        ({"alert": {"alertname": "A"}, "at": "2026-03-02T03:00:00"}, "at"),
        ({"alert": {"alertname": "A"}, "at": "2001-01-01T00:00:00Z"}, "at"),
        ({"alert": {"alertname": "A"}, "at": "9999-12-31T23:59:59Z"}, "at"),
        ({}, "alert"),
    ],
)
def test_what_cannot_be_explained_is_refused(world: GatewayWorld, body: Any, field: str) -> None:
    answer = post(world, body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
