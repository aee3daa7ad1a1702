"""An imported alertmanager.yml sends alerts where the real one does, and is imported only if the real one is taken.

`amtool config routes test` says where alerts go, `amtool check-config` what is taken.
"""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.config import Config
from schemas.alertmanager_config import read_alertmanager
from schemas.config_errors import ConfigErrors
from schemas.config_files import dump_config, parse_config

pytestmark = [pytest.mark.peer("amtool", "prometheus-alertmanager"), pytest.mark.timeout(180)]

RECEIVERS = ("ops", "Team Ops", "team-ops", "on call: DB", "null")
NAMES = ("env", "severity", "service")
VALUES = ("", "prod", "critical", "a b", "prod|dev", 'q"', "é")
PATTERNS = ("prod|dev", "prod|critical", ".+", "", "crit.*", "(?i)PROD", "\\w+", "a b", "^prod$", "c")

names, values = st.sampled_from(NAMES), st.sampled_from(VALUES)
regular = st.sampled_from(PATTERNS)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


lines = st.builds(
    lambda name, sign, value: f"{name}{sign}{_quoted(value)}", names, st.sampled_from(["=", "!="]), values
)
lines |= st.builds(
    lambda name, sign, value: f"{name} {sign} {_quoted(value)}", names, st.sampled_from(["=~", "!~"]), regular
)
lines |= st.lists(lines, min_size=1, max_size=2).map(lambda pieces: "{" + ",".join(pieces) + "}")


def _routes(below: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "receiver": st.sampled_from(RECEIVERS),
            "match": st.dictionaries(names, values, max_size=1),
            "match_re": st.dictionaries(names, regular, max_size=1),
            "matchers": st.lists(lines, max_size=2),
            "continue": st.booleans(),
            "group_by": st.sampled_from([["..."], ["env"], []]),
            "group_wait": st.sampled_from(["0s", "1m"]),
            "repeat_interval": st.just("3h"),
            "mute_time_intervals": st.just(["nights"]),
            "active_time_intervals": st.sampled_from([["nights"], []]),
            "routes": st.lists(below, max_size=3),
        },
    )


trees = st.lists(_routes(_routes(_routes(st.just({})))), min_size=3, max_size=6)
labels = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(NAMES, st.sampled_from(["prod", "critical"]) | values.filter(bool))
)


def _some(*ranges: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(ranges), max_size=2)


CLOCKS = (("00:00", "06:00"), ("09:30", "17:00"), ("22:00", "24:00"))
spans = st.fixed_dictionaries(
    {},
    optional={
        "times": _some(*({"start_time": start, "end_time": end} for start, end in CLOCKS)),
        "weekdays": _some("monday:friday", "Sunday", "saturday"),
        "days_of_month": _some("1:7", "-3:-1", "31", "1:-1", 15),
        "months": _some("january", "1:3", "May:August", "13", "0:2", "-1", "december:14", 5),
        "years": _some("2026", "2026:2028", "0", "99999", "-5:10000", 2027),
        "location": st.sampled_from(["Europe/Berlin", "UTC", "Local", "", "Asia/Kathmandu"]),
    },
)
intervals = st.fixed_dictionaries({}, optional={"time_intervals": st.lists(spans, max_size=3)})
rules = st.fixed_dictionaries(
    {},
    optional={
        **{f"{side}_match": st.dictionaries(names, values, max_size=1) for side in ("source", "target")},
        **{f"{side}_match_re": st.dictionaries(names, regular, max_size=1) for side in ("source", "target")},
        **{f"{side}_matchers": st.lists(lines, max_size=2) for side in ("source", "target")},
        "equal": st.lists(names, max_size=2),
    },
)
sections = st.fixed_dictionaries(
    {}, optional={"office": intervals, "holidays": intervals, "inhibit_rules": st.lists(rules, max_size=3)}
)
"""Time intervals by their names, and inhibition rules."""


def _written(routes: list[dict[str, Any]], said: dict[str, Any]) -> str:
    nights = {"time_intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}]}
    named: dict[str, Any] = {"nights": nights, **{name: said[name] for name in ("office", "holidays") if name in said}}
    document = {
        "route": {"receiver": "ops", "routes": routes},
        "receivers": [{"name": name} for name in RECEIVERS],
        "time_intervals": [{"name": name, **interval} for name, interval in named.items()],
        "inhibit_rules": said.get("inhibit_rules", []),
    }
    text: str = yaml.dump(document, allow_unicode=True)
    return text


def _amtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("amtool") or "", *words], capture_output=True, text=True, timeout=30, check=False
    )


def _theirs(file: Path, said: dict[str, str]) -> list[str]:
    pairs = [f"{name}={_quoted(value)}" for name, value in said.items()]
    answer = _amtool("config", "routes", "test", f"--config.file={file}", *pairs)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip().split(",")


SLOW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
"""Each question starts a program: what fails is not made smaller."""


@SLOW
@given(trees, sections, st.lists(labels, min_size=5, max_size=5, unique_by=repr))
def test_every_alert_goes_to_the_same_receivers(
    tmp_path_factory: pytest.TempPathFactory,
    routes: list[dict[str, Any]],
    said: dict[str, Any],
    asked: list[dict[str, str]],
) -> None:
    file = tmp_path_factory.mktemp("routes") / "alertmanager.yml"
    file.write_text(_written(routes, said), encoding="utf-8")
    imported = read_alertmanager(file.read_text(encoding="utf-8"), str(file))
    receivers = {policy: name for name, policy in imported.names.items()}
    config = Config.of(1, parse_config(dump_config(imported.objects), "imported"))
    assert len(config.intervals) == 1 + len(said.keys() & {"office", "holidays"})
    assert len(config.inhibition_rules) == len(said.get("inhibit_rules", []))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda alert: _theirs(file, alert), asked))
    for alert, theirs in zip(asked, answers, strict=True):
        assert [receivers[routing.policy] for routing in config.routes(alert)] == theirs


COMPANY = Path(__file__).with_name("alertmanager.yml")
SAID = {
    "alertname": ("Watchdog", "ClusterDown", "DiskFull"),
    "severity": ("critical", "page", "warning", "info"),
    "service": ("postgres", "redis", "redis-cache", "checkout"),
    "owner": ("billing", "search"),
    "env": ("prod", "production-eu", "staging", "dev"),
    "team": ("payments", "search"),
}
"""What the matchers of the company's file tell apart, and what they do not."""
company_alerts = st.fixed_dictionaries({}, optional={name: st.sampled_from(of) for name, of in SAID.items()})


@SLOW
@given(st.lists(company_alerts, min_size=5, max_size=5, unique_by=repr))
def test_a_companys_file_sends_every_alert_to_the_same_receivers(asked: list[dict[str, str]]) -> None:
    imported = read_alertmanager(COMPANY.read_text(encoding="utf-8"), str(COMPANY))
    receivers = {policy: name for name, policy in imported.names.items()}
    config = Config.of(1, parse_config(dump_config(imported.objects), "imported"))
    assert (len(config.intervals), len(config.inhibition_rules), len(receivers)) == (2, 2, 9)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda alert: _theirs(COMPANY, alert), asked))
    for alert, theirs in zip(asked, answers, strict=True):
        assert [receivers[routing.policy] for routing in config.routes(alert)] == theirs


SPANS_IN_DOUBT: list[dict[str, Any]] = [
    {"times": [{"start_time": "22:00", "end_time": "06:00"}]},
    {"times": [{"start_time": "09:00"}]},
    {"times": [{"start_time": "9:00", "end_time": "10:00"}]},
    {"times": [{"start": "09:00", "end": "10:00"}]},
    {"weekdays": ["saturday:sunday"]},
    {"weekdays": ["1"]},
    {"weekdays": "monday"},
    {"weekday": ["monday"]},
    {"days_of_month": ["0"]},
    {"days_of_month": ["31:-1"]},
    {"days_of_month": ["27:-1"]},
    {"days_of_month": ["-1:1"]},
    {"months": ["13", "jan"]},
    {"months": ["14:13"]},
    {"months": {}},
    {"years": ["2028:2026"]},
    {"years": ["january"]},
    {"location": "local"},
    {"location": "Europe/berlin"},
]
RULES_IN_DOUBT: list[dict[str, Any]] = [
    {"equal": ["...", "env"]},
    {"equal": "env"},
    {"equal": ["env", "env"]},
    {"target_match_re": {"env": "("}},
    {"source_matchers": ["env"]},
    {"source_labels": {}},
]
in_doubt = st.sampled_from([("office", span) for span in SPANS_IN_DOUBT] + [("rule", rule) for rule in RULES_IN_DOUBT])


@settings(SLOW, max_examples=120)
@given(sections, st.none() | in_doubt)
def test_files_with_intervals_and_inhibition_are_taken_where_alertmanager_takes_them(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any], doubtful: tuple[str, dict[str, Any]] | None
) -> None:
    match doubtful:
        case ("office", span):
            said = said | {"office": {"time_intervals": [*said.get("office", {}).get("time_intervals", []), span]}}
        case (_, rule):
            said = said | {"inhibit_rules": [*said.get("inhibit_rules", []), rule]}
    file = tmp_path_factory.mktemp("sections") / "alertmanager.yml"
    file.write_text(_written([], said), encoding="utf-8")
    assert _taken(file) == (_amtool("check-config", str(file)).returncode == 0)


def _taken(file: Path) -> bool:
    """Whether the file is imported, and our own reader takes what is made of it."""
    try:
        imported = read_alertmanager(file.read_text(encoding="utf-8"), str(file))
    except ConfigErrors:
        return False
    parse_config(dump_config(imported.objects), "imported")
    return True


SMALL = "route: {receiver: a}\nreceivers: [{name: a}]\n"
MAIL = "global: {smtp_smarthost: 'mail.example.test:25', smtp_from: a@example.test}\n"


def _sends(by: str, what: str, general: str = "") -> str:
    return f"{general}route: {{receiver: a}}\nreceivers: [{{name: a, {by}_configs: [{what}]}}]\n"


def _span(fields: str) -> str:
    return f"{SMALL}time_intervals: [{{name: n, time_intervals: [{{{fields}}}]}}]"


REFUSED = {
    "an unknown receiver": "route: {receiver: x}\nreceivers: [{name: a}]",
    "no receiver": "route: {}\nreceivers: [{name: a}]",
    "no route": "receivers: [{name: a}]",
    "two receivers of one name": "route: {receiver: a}\nreceivers: [{name: a}, {name: a}]",
    "a receiver without a name": "route: {receiver: a}\nreceivers: [{name: a}, {}]",
    "matchers at the root": "route: {receiver: a, matchers: [x=y]}\nreceivers: [{name: a}]",
    "continue at the root": "route: {receiver: a, continue: true}\nreceivers: [{name: a}]",
    "a muted root": "route: {receiver: a, mute_time_intervals: [n]}\nreceivers: [{name: a}]\n"
    "time_intervals: [{name: n, time_intervals: [{years: ['2026']}]}]",
    "no matcher": "route: {receiver: a, routes: [{matchers: [x]}]}\nreceivers: [{name: a}]",
    "a bad expression": "route: {receiver: a, routes: [{match_re: {x: '('}}]}\nreceivers: [{name: a}]",
    "a duration of nothing": "route: {receiver: a, group_interval: 0s}\nreceivers: [{name: a}]",
    "a repeat of nothing": "route: {receiver: a, repeat_interval: 0s}\nreceivers: [{name: a}]",
    "a duration without unit": "route: {receiver: a, group_wait: '5'}\nreceivers: [{name: a}]",
    "all labels and others": "route: {receiver: a, group_by: ['...', x]}\nreceivers: [{name: a}]",
    "a label twice": "route: {receiver: a, group_by: [x, x]}\nreceivers: [{name: a}]",
    "an unknown interval": "route: {receiver: a, routes: [{mute_time_intervals: [n]}]}\nreceivers: [{name: a}]",
    "an unknown key": "route: {receiver: a, recievers: b}\nreceivers: [{name: a}]",
    "a wrong interval": "route: {receiver: a}\nreceivers: [{name: a}]\n"
    "time_intervals: [{name: n, time_intervals: [{weekdays: [someday]}]}]",
    "two intervals of one name": "route: {receiver: a}\nreceivers: [{name: a}]\n"
    "time_intervals: [{name: n, time_intervals: [{years: ['2026']}]}, {name: n, time_intervals: [{years: ['2026']}]}]",
    "a bad inhibition": "route: {receiver: a}\nreceivers: [{name: a}]\ninhibit_rules: [{source_matchers: [x]}]",
    "no YAML": "route: [",
    "a section misspelt": f"{SMALL}inhibit_ruls: [{{source_matchers: [a=b]}}]",
    "a section misspelt and empty": f"{SMALL}time_interval:",
    "an unknown section": f"{SMALL}x-anchors: [a]",
    "a way to send misspelt": "route: {receiver: a}\nreceivers: [{name: a, emial_configs: []}]",
    "an unknown general key": f"{SMALL}global: {{smtp_smarthorst: 'a:25'}}",
    "templates that are no list": f"{SMALL}templates: a.tmpl",
    "a time-out without unit": f"{SMALL}global: {{resolve_timeout: 5}}",
    "a time-out of an unknown unit": f"{SMALL}global: {{resolve_timeout: 5min}}",
    "a time-out that Go has no number for": f"{SMALL}global: {{resolve_timeout: 106752d}}",
    "a repeat that Go has no number for": "route: {receiver: a, repeat_interval: 300y}\nreceivers: [{name: a}]",
    "a mail server without port": f"{SMALL}global: {{smtp_smarthost: mail.example.test}}",
    "a mail server with two ports": f"{SMALL}global: {{smtp_smarthost: 'mail.example.test:25:26'}}",
    "an address that is none": f"{SMALL}global: {{slack_api_url: hooks}}",
    "a secret twice": f"{SMALL}global: {{smtp_auth_password: a, smtp_auth_password_file: b}}",
    "neither true nor false": f"{SMALL}global: {{smtp_require_tls: maybe}}",
    "a boolean in quotes": 'route: {receiver: a, routes: [{continue: "true"}]}\nreceivers: [{name: a}]',
    "a no in quotes": f"{SMALL}global: {{smtp_require_tls: 'no'}}",
    "a mail that says the end in quotes": _sends("email", "{to: a@example.test, send_resolved: 'true'}", MAIL),
    "a boolean as a block of text": "route:\n  receiver: a\n  routes:\n  - continue: |-\n      true\n"
    "receivers: [{name: a}]",
    "a mail to nobody": _sends("email", "{}", MAIL),
    "a mail to an empty text": _sends("email", "{to: ''}", MAIL),
    "nothing for a mail": _sends("email", "null", MAIL),
    "a mail without server": _sends("email", "{to: a@example.test, from: a@example.test}"),
    "a mail from nobody": _sends("email", "{to: a@example.test, smarthost: 'mail.example.test:25'}"),
    "a mail with a key misspelt": _sends("email", "{to: a@example.test, header: {}}", MAIL),
    "a mail that may say the end": _sends("email", "{to: a@example.test, send_resolved: maybe}", MAIL),
    "a webhook to nowhere": _sends("webhook", "{}"),
    "a webhook to an empty text": _sends("webhook", "{url: ''}"),
    "a webhook to no address": _sends("webhook", "{url: 'ftp://example.test'}"),
    "a webhook to no host": _sends("webhook", "{url: 'http://'}"),
    "a webhook with a key misspelt": _sends("webhook", "{url: 'http://a.test', max_alert: 1}"),
    "a webhook that is no list": "route: {receiver: a}\nreceivers: [{name: a, webhook_configs: {url: 'http://a.test'}}]",
    "chat without address": _sends("slack", "{channel: a}"),
    "chat with two addresses": _sends("slack", "{api_url: 'http://a.test', api_url_file: /a}"),
    "PagerDuty without key": _sends("pagerduty", "{}"),
    "Opsgenie without key": _sends("opsgenie", "{}"),
    "VictorOps without routing key": _sends("victorops", "{api_key: a}"),
    "Pushover without token": _sends("pushover", "{user_key: a}"),
    "WeChat without corporation": _sends("wechat", "{api_secret: a}"),
    "SNS without topic": _sends("sns", "{}"),
    "Telegram without chat": _sends("telegram", "{bot_token: a}"),
    "Discord without address": _sends("discord", "{}"),
    "Webex without room": _sends("webex", "{http_config: {authorization: {credentials: a}}}"),
    "groups by an empty text": "route: {receiver: a, group_by: ['']}\nreceivers: [{name: a}]",
    "no route among routes": "route: {receiver: a, routes: [null]}\nreceivers: [{name: a}]",
    "the root goes on": "route: {receiver: a, continue: yes}\nreceivers: [{name: a}]",
    "equal in all labels": f"{SMALL}inhibit_rules: [{{equal: ['...']}}]",
    "a side misspelt": f"{SMALL}inhibit_rules: [{{source_matcher: [a=b]}}]",
    "an interval's key misspelt": f"{SMALL}time_intervals: [{{name: n, time_interval: []}}]",
    "an entry's key misspelt": _span("weekday: [monday]"),
    "a time's key misspelt": _span("times: [{start_time: '09:00', end_tim: '10:00'}]"),
    "months backwards": _span("months: ['14:13']"),
    "a month that is no list": _span("months: {}"),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_alertmanager_refuses_is_not_imported(text: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(text)
    assert _amtool("check-config", str(file)).returncode != 0
    with pytest.raises(ConfigErrors) as refused:
        read_alertmanager(text, str(file))
    for error in refused.value.errors:
        assert str(error).startswith(f"{file}:{error.line}:")
        assert error.remedy


ACCEPTED = {
    "the root does not go on": "route: {receiver: a, continue: false}\nreceivers: [{name: a}]",
    "the root has nothing to match": "route: {receiver: a, match: {}, matchers: []}\nreceivers: [{name: a}]",
    "a repeat of more than a year": "route: {receiver: a, repeat_interval: 10000h}\nreceivers: [{name: a}]",
    "a repeat of two years": "route: {receiver: a, repeat_interval: 2y}\nreceivers: [{name: a}]",
    "as long as Go has a number for": "route: {receiver: a, repeat_interval: 9000000000000ms}\nreceivers: [{name: a}]",
    "a wait of nothing": "route: {receiver: a, group_wait: 0}\nreceivers: [{name: a}]",
    "an interval of nothing": f"{SMALL}time_intervals: [{{name: n, time_intervals: []}}]",
    "an interval that says nothing": f"{SMALL}time_intervals: [{{name: n}}]",
    "no interval in the list": f"{SMALL}time_intervals: [null]",
    "an older interval of nothing": f"{SMALL}mute_time_intervals: [{{name: n, time_intervals: []}}]",
    "an entry of nothing": f"{SMALL}time_intervals: [{{name: n, time_intervals: [null, {{}}]}}]",
    "a month that there is not": _span("months: ['13']"),
    "months before the first": _span("months: ['-1:3', '0']"),
    "a list of no months": _span("months: []"),
    "months that are not said": _span("months: "),
    "a year that there is not": _span("years: ['0', '99999', '002026']"),
    "the time zone of a machine": _span("location: Local"),
    "an empty time zone": _span("location: ''"),
    "no general section": f"{SMALL}global:",
    "a long time-out": f"{SMALL}global: {{resolve_timeout: 2y}}",
    "general settings": f"{SMALL}global: {{smtp_smarthost: '[::1]:25', smtp_require_tls: no, http_config: {{}}}}",
    "an address that is not shown": f"{SMALL}global: {{slack_api_url: <secret>}}",
    "a boolean of a tag": 'route: {receiver: a, routes: [{continue: !!bool "true"}]}\nreceivers: [{name: a}]',
    "a boolean of one letter": "route: {receiver: a, routes: [{continue: y}]}\nreceivers: [{name: a}]",
    "a mail with all it needs": _sends("email", "{to: a@example.test, smarthost: 'a.test:25', from: b@example.test}"),
    "a mail with general settings": _sends("email", "{to: '{{ .GroupLabels.owner }}', headers: {a: b}}", MAIL),
    "a mail with a password twice": _sends("email", "{to: a@b, auth_password: a, auth_password_file: b}", MAIL),
    "a webhook": _sends("webhook", "{url: 'https://a.test/b', max_alerts: 5, http_config: {}}"),
    "chat with a general address": _sends("slack", "{}", "global: {slack_api_url_file: /a}\n"),
    "PagerDuty": _sends("pagerduty", "{service_key: a}"),
    "Opsgenie with a general key": _sends("opsgenie", "{message: a}", "global: {opsgenie_api_key: a}\n"),
    "VictorOps": _sends("victorops", "{api_key: a, routing_key: b}"),
    "Pushover": _sends("pushover", "{user_key: a, token: b}"),
    "WeChat": _sends("wechat", "{api_secret: a, corp_id: b}"),
    "SNS": _sends("sns", "{topic_arn: a, api_url: b}"),
    "Telegram": _sends("telegram", "{bot_token: a, chat_id: 5}"),
    "Discord": _sends("discord", "{webhook_url: 'https://a.test'}"),
    "Webex": _sends("webex", "{room_id: a, http_config: {authorization: {credentials: b}}}"),
    "all labels twice": "route: {receiver: a, group_by: ['...', '...']}\nreceivers: [{name: a}]",
    "an empty receiver": "route: {receiver: a, routes: [{receiver: ''}]}\nreceivers: [{name: a}]",
    "a receiver that is a number": "route: {receiver: 5}\nreceivers: [{name: 5}]",
    "a rule of nothing": f"{SMALL}inhibit_rules: [{{}}]",
    "equal twice": f"{SMALL}inhibit_rules: [{{equal: [a, a]}}]",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_alertmanager_takes_is_imported(text: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(text)
    answer = _amtool("check-config", str(file))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    imported = read_alertmanager(text, str(file))
    assert parse_config(dump_config(imported.objects), "imported")
