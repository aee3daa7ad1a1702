"""What an alertmanager.yml says that we have no exact words for, and what in it nobody can have meant."""

from datetime import UTC, datetime

import pytest

from domain.config import Config
from domain.intervals import Range, Span, TimeRange, contains
from schemas.alertmanager_config import read_alertmanager
from schemas.config_errors import ConfigErrors
from schemas.config_files import dump_config, parse_config
from schemas.imported import Imported

SMALL = "route: {receiver: a}\nreceivers: [{name: a}]\n"
YEAR = 365 * 86_400.0


def imported(text: str) -> tuple[Config, Imported]:
    found = read_alertmanager(text, "am.yml")
    return Config.of(1, parse_config(dump_config(found.objects), "imported.yaml")), found


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as errors:
        read_alertmanager(text, "am.yml")
    return [str(error) for error in errors.value.errors]


def spans_of(entries: str) -> tuple[tuple[Span, ...], list[str]]:
    """The spans of one interval, and what was left behind of it."""
    config, found = imported(f"{SMALL}time_intervals: [{{name: n, time_intervals: {entries}}}]")
    return config.intervals["n"].spans, [str(one) for one in found.left if one.path[0] == "time_intervals"]


class TestDurations:
    @pytest.mark.parametrize("key", ["group_wait", "group_interval", "repeat_interval"])
    @pytest.mark.parametrize("text", ["2y", "10000h", "1y1ms"])
    def test_a_year_is_the_longest_and_that_is_said(self, key: str, text: str) -> None:
        config, found = imported(f"receivers: [{{name: a}}]\nroute: {{receiver: a, {key}: {text}}}")
        assert config.root is not None
        assert getattr(config.root, key) == YEAR
        (said,) = (str(one) for one in found.left if one.path == ("route", key))
        assert said.startswith("am.yml:2:")
        assert f"`{text}` is longer than a year, which is the longest here. It is a year now." in said

    def test_a_year_is_one(self) -> None:
        config, found = imported("receivers: [{name: a}]\nroute: {receiver: a, repeat_interval: 1y}")
        assert config.root is not None
        assert config.root.repeat_interval == YEAR
        assert not [one for one in found.left if one.path[0] == "route" and len(one.path) > 1]


class TestIntervals:
    @pytest.mark.parametrize(
        "entries", ["[]", "", "[{months: ['13']}]", "[{weekdays: []}]", "[{years: ['0', '-3:-1']}]"]
    )
    def test_what_contains_no_time_contains_none_here(self, entries: str) -> None:
        config, found = imported(f"{SMALL}time_intervals: [{{name: n, time_intervals: {entries}}}]")
        days = (datetime(2026, month, 1, 12, tzinfo=UTC) for month in range(1, 13))
        assert not any(contains(config.intervals["n"], day) for day in days)
        said = [str(one) for one in found.left if one.path[-1] == "time_intervals"]
        assert said
        assert all("`n` contains no time" in one and "Add entries to `time_intervals`" in one for one in said)

    def test_an_interval_without_entries_mutes_nothing_and_routes_may_name_it(self) -> None:
        text = "receivers: [{name: a}]\nroute: {receiver: a, routes: [{mute_time_intervals: [n]}]}\n"
        config, _ = imported(f"{text}time_intervals: [{{name: n}}]")
        assert config.root is not None
        assert config.root.routes[0].mute_time_intervals == ("n",)
        assert not contains(config.intervals["n"], datetime(2026, 1, 1, tzinfo=UTC))

    def test_months_and_years_are_cut_to_those_that_there_are(self) -> None:
        spans, left = spans_of("[{months: ['0:2', '13', 'November:14'], years: ['-5:2027', '99999', '002028']}]")
        assert spans == (Span(months=(Range(1, 2), Range(11, 12)), years=(Range(1, 2027), Range(2028, 2028))),)
        assert left == []

    def test_an_entry_that_never_comes_is_left_and_the_others_stay(self) -> None:
        spans, left = spans_of(
            "[{times: [{start_time: 01:00, end_time: 02:00}]}, {days_of_month: [1], months: ['13']}]"
        )
        assert spans == (Span(times=(TimeRange(60, 120),)),)
        (one,) = left
        assert "time_intervals[0].time_intervals[1].months: No time is in this entry: `months` names none" in one

    def test_an_entry_that_says_nothing_is_always(self) -> None:
        assert spans_of("[{}]") == spans_of("[null]") == spans_of("[{months: , location: ''}]") == ((Span(),), [])

    def test_the_time_zone_of_a_machine_is_nobodys(self) -> None:
        spans, left = spans_of("[{weekdays: [monday], location: Local}]")
        assert spans == (Span(weekdays=(Range(1, 1),)),)
        (one,) = left
        assert "`Local` is the time zone of the machine that Alertmanager runs on. It is UTC now" in one

    def test_a_mistake_beside_an_impossible_month_has_its_own_place(self) -> None:
        text = f"{SMALL}time_intervals:\n- name: n\n  time_intervals:\n  - months:\n    - '13'\n    - jan\n"
        (error,) = refused(text)
        place = "am.yml:8:7: time_intervals[0].time_intervals[0].months[1]"
        assert error == f"{place}: `jan` is not a month. Did you mean `january`?"

    def test_more_entries_than_ours_have_are_refused_in_their_place(self) -> None:
        entries = ", ".join(f"{{days_of_month: [{1 + n % 28}]}}" for n in range(101))
        (error,) = refused(f"{SMALL}time_intervals: [{{name: n, time_intervals: [{entries}]}}]")
        assert error.startswith("am.yml:3:")
        assert "There are more than 100 entries" in error


class TestKeys:
    @pytest.mark.parametrize(
        ("text", "place", "meant"),
        [
            (f"{SMALL}inhibit_ruls: []", "3:1: inhibit_ruls", "inhibit_rules"),
            (
                "route: {receiver: a}\nreceivers:\n- name: a\n  emial_configs: []",
                "4:3: receivers[0].emial_configs",
                "email_configs",
            ),
            (f"{SMALL}global:\n  smtp_smarthorst: a", "4:3: global.smtp_smarthorst", "smtp_smarthost"),
            (
                "receivers: [{name: a}]\nroute:\n  receiver: a\n  group_weight: 5s",
                "4:3: route.group_weight",
                "group_wait",
            ),
            (
                f"{SMALL}inhibit_rules:\n- source_matcher: [a=b]",
                "4:3: inhibit_rules[0].source_matcher",
                "source_matchers",
            ),
            (
                f"{SMALL}time_intervals:\n- name: n\n  time_interval: []",
                "5:3: time_intervals[0].time_interval",
                "time_intervals",
            ),
            (
                f"{SMALL}time_intervals:\n- name: n\n  time_intervals:\n  - weekday: [monday]",
                "6:5: time_intervals[0].time_intervals[0].weekday",
                "weekdays",
            ),
        ],
    )
    def test_a_misspelt_one_is_refused_with_what_was_meant(self, text: str, place: str, meant: str) -> None:
        key = place.rpartition(".")[2].rpartition(" ")[2]
        assert refused(text) == [f"am.yml:{place}: There is no key `{key}` here. Did you mean `{meant}`?"]

    def test_what_resembles_none_is_refused_too(self) -> None:
        (error,) = refused(f"{SMALL}x-anchors: [a]")
        assert error == (
            "am.yml:3:1: x-anchors: There is no key `x-anchors` here. "
            "Correct or remove it: Alertmanager refuses it too."
        )

    def test_those_of_newer_versions_are_known(self) -> None:
        text = """\
global:
  rocketchat_token_file: /a
  jira_api_url: https://jira.example.test
  telegram_bot_token: a
  smtp_auth_secret_file: /b
  slack_app_token: c
tracing: {endpoint: a}
route: {receiver: a, routes: [{labels: {a: b}}]}
inhibit_rules: [{name: Whole Site, source_matchers: [alertname=Down]}]
receivers:
- name: a
  webhook_configs: [{url_file: /d, timeout: 5s, payload: {}}, {url: 'https://{{ .GroupLabels.host }}/'}]
  telegram_configs: [{chat_id: 5}]
  msteams_configs: [{webhook_url: https://a.test}]
  msteamsv2_configs: [{webhook_url_file: /e}]
  jira_configs: [{project: A, issue_type: Bug}]
  rocketchat_configs: [{channel: a}]
  incidentio_configs: [{url: https://a.test}]
  mattermost_configs: [{}]
  slack_configs: [{channel: a}]
"""
        config, _ = imported(text)
        assert set(config.inhibition_rules) == {"whole-site"}

    def test_a_rule_whose_sources_we_cannot_say_is_left_and_does_not_inhibit_by_everything(self) -> None:
        rule = "{sources: [{matchers: [a=b]}, {matchers: [c=d]}], target_matchers: [e=f]}"
        config, found = imported(f"{SMALL}inhibit_rules: [{rule}]")
        assert not config.inhibition_rules
        assert [one.path for one in found.left if one.path[0] == "inhibit_rules"] == [("inhibit_rules", 0, "sources")]


class TestReceivers:
    def test_a_mail_needs_what_the_general_section_may_say(self) -> None:
        text = "receivers: [{name: a, email_configs: [{to: ada@example.test}]}]\nroute: {receiver: a}\n"
        assert refused(text) == [
            "am.yml:1:39: receivers[0].email_configs[0]: There is no `smarthost`. "
            "Write it, or `smtp_smarthost` under `global`.",
            "am.yml:1:39: receivers[0].email_configs[0]: There is no `from`. Write it, or `smtp_from` under `global`.",
        ]
        config, _ = imported(f"{text}global: {{smtp_smarthost: 'mail.example.test:25', smtp_from: a@example.test}}")
        assert set(config.users) == {"ada"}

    def test_an_address_with_a_secret_is_not_repeated(self) -> None:
        (error,) = refused(
            "receivers: [{name: a, webhook_configs: [{url: 'htps://a.test/s3cret'}]}]\nroute: {receiver: a}"
        )
        assert "webhook_configs[0].url: `url` is not a web address" in error
        assert "s3cret" not in error

    def test_an_address_is_there_once(self) -> None:
        text = "receivers: [{name: a, webhook_configs: [{url: 'https://a.test', url_file: /a}]}]\nroute: {receiver: a}"
        (error,) = refused(text)
        assert "`url` and `url_file` are both there" in error


class TestLabels:
    @pytest.mark.parametrize("name", ["a.b", "a b", "größe", "1a", "a:b"])
    def test_names_are_any_text_as_since_0_27(self, name: str) -> None:
        config, _ = imported(
            "receivers: [{name: a}]\n"
            f"route: {{receiver: a, group_by: ['{name}'], routes: [{{match: {{'{name}': c}}}}]}}\n"
            f"inhibit_rules: [{{equal: ['{name}'], source_match: {{'{name}': c}}, target_match_re: {{'{name}': c}}}}]"
        )
        assert config.root is not None
        assert config.root.group_by == (name,)
        assert config.root.routes[0].matchers[0].label == name
        (rule,) = config.inhibition_rules.values()
        assert rule.equal == (name,)

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("receivers: [{name: a}]\nroute: {receiver: a, group_by: ['@team']}", "@team"),
            ("receivers: [{name: a}]\nroute: {receiver: a, routes: [{match: {'@team': c}}]}", "@team"),
            (f"{SMALL}inhibit_rules: [{{equal: ['...']}}]", "..."),
            (f"{SMALL}inhibit_rules: [{{equal: ['']}}]", ""),
        ],
    )
    def test_what_means_something_else_here_is_refused(self, text: str, name: str) -> None:
        (error,) = refused(text)
        assert f"`{name}` is not a label name. Write 1 to 128 characters" in error
