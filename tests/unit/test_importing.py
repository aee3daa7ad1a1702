"""What other programs are configured with becomes configuration of ours, and what cannot is listed with its place."""

from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from compose.cli import main
from domain.config import Config, ContactMethod, Member, RouteTree, Service, Team, User
from domain.inhibition import InhibitionRule
from domain.intervals import Interval, Range, Span, TimeRange
from domain.matching import Matcher, MatchOperator
from domain.routing import route
from schemas.alertmanager_config import read_alertmanager
from schemas.alertmanager_routes import OTHERWISE, WHOSE
from schemas.config_errors import ConfigErrors
from schemas.config_files import dump_config, parse_config
from schemas.imported import Imported, Names
from schemas.team_mapping import read_team_mapping

EQUAL, MATCHES = MatchOperator.EQUAL, MatchOperator.MATCHES

OLD_AND_NEW = """\
global:
  resolve_timeout: 5m
  smtp_smarthost: mail.example.test:25
  smtp_from: alerts@example.test
  slack_api_url: https://hooks.slack.example.test/services/x
templates: ['*.tmpl']
route:
  receiver: Team X
  group_by: [alertname, cluster]
  routes:
  - receiver: database
    match: {service: mysql}
    match_re: {env: prod|stage}
    matchers: [a!=b, '{c!~"d", e=f}']
    continue: yes
    mute_time_intervals: [out of office]
    routes: [{group_by: ['...'], repeat_interval: 1d}]
receivers:
- name: Team X
  email_configs: [{to: 'Ada <ada@example.test>, grace@example.test', send_resolved: true}]
- name: database
  slack_configs: [{channel: '#db'}]
  email_configs: [{to: ada@example.test}, {to: '{{ .GroupLabels.owner }}'}]
- name: nobody
inhibit_rules:
- {source_match: {severity: critical}, target_match_re: {severity: warning|info}, equal: [alertname]}
- {name: Whole Site, source_matchers: [alertname=Down]}
mute_time_intervals:
- name: out of office
  time_intervals: [{times: [{start_time: 17:00, end_time: '24:00'}], weekdays: ['monday:friday']}]
"""


def loaded(imported: Imported) -> Config:
    """The import as a file that our own reader takes."""
    objects = parse_config(dump_config(imported.objects), "imported.yaml")
    assert objects == {(thing.kind, thing.id): thing for thing in imported.objects}
    return Config.of(1, objects)


class TestAlertmanager:
    IMPORTED = read_alertmanager(OLD_AND_NEW, "am.yml")

    def test_receivers_become_teams_policies_and_people(self) -> None:
        config = loaded(self.IMPORTED)
        assert self.IMPORTED.names == {"Team X": "team-x", "database": "database", "nobody": "nobody"}
        assert config.users == {
            "ada": User("ada", contacts=(ContactMethod("email", "ada@example.test"),)),
            "grace": User("grace", contacts=(ContactMethod("email", "grace@example.test"),)),
        }
        assert config.teams["team-x"] == Team("team-x", (Member("ada", "oncall"), Member("grace", "oncall")))
        assert config.teams["nobody"] == Team("nobody")
        (step,) = config.policies["database"].steps
        assert config.people(step.targets[0]) == ("ada",)

    def test_routes_keep_every_form_of_matcher_and_alertmanagers_defaults(self) -> None:
        tree = loaded(self.IMPORTED).root
        assert tree is not None
        assert (tree.team, tree.policy, tree.group_by) == ("team-x", "team-x", ("alertname", "cluster"))
        assert (tree.group_wait, tree.group_interval, tree.repeat_interval) == (30.0, 300.0, 14400.0)
        (child,) = tree.routes
        assert [str(matcher) for matcher in child.matchers] == [
            *('service="mysql"', 'env=~"prod|stage"', 'a!="b"', 'c!~"d"', 'e="f"')
        ]
        assert (child.continues, child.mute_time_intervals, child.group_wait) == (True, ("out-of-office",), None)
        assert (child.routes[0].group_by, child.routes[0].repeat_interval, child.routes[0].team) == (
            *(("...",), 86400.0, None),
        )

    def test_inhibition_and_intervals(self) -> None:
        config = loaded(self.IMPORTED)
        critical, lesser = Matcher("severity", EQUAL, "critical"), Matcher("severity", MATCHES, "warning|info")
        everything = Matcher("alertname", MATCHES, ".*")
        assert config.inhibition_rules == {
            "inhibition-1": InhibitionRule("inhibition-1", (critical,), (lesser,), ("alertname",)),
            "whole-site": InhibitionRule("whole-site", (Matcher("alertname", EQUAL, "Down"),), (everything,)),
        }
        spans = (Span((TimeRange(1020, 1440),), (Range(1, 5),)),)
        assert config.intervals == {"out-of-office": Interval("out-of-office", spans)}

    def test_what_has_no_place_is_listed_with_its_own(self) -> None:
        assert [str(one).partition(". ")[0] for one in self.IMPORTED.left] == [
            "am.yml:2:3: global.resolve_timeout: `resolve_timeout` has no place here",
            "am.yml:3:3: global.smtp_smarthost: `smtp_smarthost` has no place here",
            "am.yml:4:3: global.smtp_from: `smtp_from` has no place here",
            "am.yml:5:3: global.slack_api_url: `slack_api_url` has no place here",
            "am.yml:6:1: templates: `templates` has no place here",
            f"am.yml:7:1: route: {OTHERWISE}",
            f"am.yml:7:1: route: {WHOSE}",
            "am.yml:20:19: receivers[0].email_configs[0]: A receiver does not say how mails look and are sent: "
            "`send_resolved`",
            "am.yml:22:3: receivers[1].slack_configs: Receiver `database` sends by slack",
            "am.yml:23:44: receivers[1].email_configs[1].to: An address is made by a template, or none",
            "am.yml:24:3: receivers[2]: Receiver `nobody` names no mail address: nobody is paged",
        ]
        assert all(one.remedy for one in self.IMPORTED.left)

    def test_how_long_alertmanager_waits_for_an_end_is_not_to_be_repeated_here(self) -> None:
        (one,) = (one for one in self.IMPORTED.left if one.path == ("global", "resolve_timeout"))
        assert "Nothing: Alertmanager applies it before it posts" in one.remedy
        assert "`expires_after` longer than Alertmanager's `repeat_interval`" in one.remedy

    def test_a_service_of_the_catalogue_overrides_the_roots_receiver(self) -> None:
        assert "`service` label" in WHOSE
        catalogue = {"mysql": Service("mysql", "storage", "storage"), "web": Service("web", "site", "site")}
        tree = loaded(self.IMPORTED).root
        assert tree is not None
        below = {"service": "mysql", "env": "prod", "c": "x", "e": "f"}
        assert route(tree, below, catalogue).team == "database"
        assert route(tree, {"service": "web"}, catalogue).team == "site"
        assert route(tree, {"service": "unknown"}, catalogue).team == "team-x"

    def test_twice_is_the_same(self) -> None:
        assert read_alertmanager(OLD_AND_NEW, "am.yml") == self.IMPORTED

    def test_anchors_aliases_and_merges_are_followed(self) -> None:
        text = """\
            receivers: [{name: a}]
            route:
              receiver: a
              routes:
              - &one {match: &m {x: y}, group_wait: 1m}
              - {<<: *one, group_wait: 2m}
              - {match: {<<: *m, z: '1'}}
            """
        tree = loaded(read_alertmanager(dedent(text), "am.yml")).root
        assert tree is not None
        assert [route.group_wait for route in tree.routes] == [60.0, 120.0, None]
        assert [len(route.matchers) for route in tree.routes] == [1, 1, 2]

    def test_a_label_that_is_to_be_absent_stays_one(self) -> None:
        text = "receivers: [{name: a}]\nroute: {receiver: a, routes: [{match: {x: }, group_by: []}]}"
        tree = loaded(read_alertmanager(text, "am.yml")).root
        assert tree is not None
        assert tree.routes[0].matchers == (Matcher("x", EQUAL, ""),)
        assert tree.routes[0].group_by == ()

    @pytest.mark.parametrize(
        ("text", "place", "problem"),
        [
            ("", "1:1", "The file is empty"),
            ("- a", "1:1", "A mapping is wanted here"),
            ("a: b: c", "1:5", "This is not YAML"),
            ("{route: {receiver: a}, route: 1}", "1:24", "`route` is there twice"),
            ("? [a]\n: b", "1:3", "A name is a list or a mapping"),
            ("a: &a [1]\nb: &b [*a, *a]\n" + "c: " + "[" * 70 + "*b" + "]" * 70, "3:68", "nests too deep"),
            ("receivers: 5\nroute: {receiver: a}", "1:12", "A list is wanted here"),
            ("receivers: [{name: a}]\nroute: {receiver: a, routes: [{continue: 5}]}", "2:42", "neither true nor"),
            (
                "receivers: [{name: a}]\nroute: {receiver: a, routes: [{continue: 'true'}]}",
                "2:42",
                "`true` is a text in quotes",
            ),
            ("receivers: [{name: a}]\nroute: {receiver: a, routes: [{match_re: {x: }}]}", "2:46", "no regular expr"),
            ("receivers: [{name: a}]\nroute: {receiver: a, group_wait: [1m]}", "2:34", "A text is wanted here"),
            (
                "receivers: [{name: a}]\nroute: {receiver: a, repeat_interval: 300y}",
                "2:39",
                "too long for Alertmanager",
            ),
            ("receivers: [{name: a}]\nroute: {receiver: a, group_by: ['@team']}", "2:33", "is not a label name"),
            ("receivers: [{name: a}]\nroute: {receiver: a}\ninhibit_rules: [{equal: ['@b']}]", "3:26", "not a label"),
        ],
    )
    def test_what_is_wrong_is_refused_in_its_place(self, text: str, place: str, problem: str) -> None:
        with pytest.raises(ConfigErrors) as refused:
            read_alertmanager(text, "am.yml")
        assert any(str(e).startswith(f"am.yml:{place}: ") and problem in e.problem for e in refused.value.errors)

    def test_no_alias_goes_off_like_a_bomb(self) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
        with pytest.raises(ConfigErrors, match="repeats too much"):
            read_alertmanager("\n".join(lines), "am.yml")


class TestTeamMapping:
    TEXT = (
        '{"api-gateway": {"team_name": "Platform", "description": "the \\/ door \\ud83d\\ude80"},\n'
        '\t"Shop": {"team_name": "Platform"}}'
    )

    def test_services_and_their_teams(self) -> None:
        config = loaded(read_team_mapping(self.TEXT, "teams.json"))
        assert config.services == {
            "api-gateway": Service("api-gateway", "platform", "platform", description="the / door 🚀"),
            "shop": Service("shop", "platform", "platform"),
        }
        assert config.teams == {"platform": Team("platform")}

    def test_what_has_no_place(self) -> None:
        left = read_team_mapping(self.TEXT, "teams.json").left
        assert [str(one).partition(". ")[0] for one in left] == [
            "teams.json:1:18: api-gateway.team_name: Nobody is in team `Platform` yet",
            "teams.json:2:2: Shop: It is called `shop` here",
        ]

    @pytest.mark.parametrize(
        ("said", "kept", "left"),
        [
            ("two\\n lines", "two lines", None),
            ("", None, None),
            ("x" * 1001, None, "teams.json:1:29: a.description: The `description` cannot be kept"),
            ("a \\u0007 bell", None, "teams.json:1:29: a.description: The `description` cannot be kept"),
        ],
    )
    def test_what_is_said_of_a_service_is_kept_in_one_line(self, said: str, kept: str | None, left: str | None) -> None:
        text = f'{{"a": {{"team_name": "Team", "description": "{said}", "cost_centre": 7}}}}'
        imported = read_team_mapping(text, "teams.json")
        assert loaded(imported).services == {"a": Service("a", "team", "team", description=kept)}
        problems = [str(one).partition(". ")[0] for one in imported.left]
        assert any("a.cost_centre: A service has no `cost_centre`" in one for one in problems)
        assert [one for one in problems if "description" in one] == ([left] if left else [])

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("[]", "1:1: The file is not a JSON object"),
            ('{"a": }', "1:7: This is not JSON"),
            ('{"a": {}}', "1:7: a: There is no `team_name`"),
            ('{"a": 5}', "1:7: a: A mapping is wanted"),
            ('{"a": {"team_name": "x"},\n "a": {}}', "2:2: `a` is there twice"),
            ('{"a": ' * 5000 + "1" + "}" * 5000, "1:"),
        ],
    )
    def test_what_is_wrong(self, text: str, problem: str) -> None:
        with pytest.raises(ConfigErrors) as refused:
            read_team_mapping(text, "teams.json")
        assert f"teams.json:{problem}" in str(refused.value)


class TestNames:
    def test_each_has_its_own(self) -> None:
        names = Names("team")
        given_names = [names.of(text) for text in ("Team Ops", "team-ops", "Team Ops", "é", "日本", "_x_", "Team-ops")]
        assert given_names == ["team-ops", "team-ops-2", "team-ops", "e", "team", "x", "team-ops-3"]

    @settings(deadline=None)
    @given(st.lists(st.text(max_size=80)))
    def test_whatever_they_are_called(self, texts: list[str]) -> None:
        names = Names("team")
        ours = {text: names.of(text) for text in texts}
        assert len(set(ours.values())) == len(ours)
        for name in ours.values():
            parse_config(f'version: 1\nteams: {{"{name}": {{}}}}', "names.yaml")


class TestCommands:
    def run(self, *words: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(main, ["import", *words])
        return done.exit_code, done.stdout, done.stderr

    def test_the_file_is_for_stdout_and_the_list_for_stderr(self, tmp_path: Path) -> None:
        file = tmp_path / "alertmanager.yml"
        file.write_text(OLD_AND_NEW)
        code, out, err = self.run("alertmanager", str(file))
        assert code == 0
        assert isinstance(parse_config(out, "out")["route_tree", "default"], RouteTree)
        assert len(err.splitlines()) == 11

    def test_a_directory_gets_it_once_and_nothing_is_written_over(self, tmp_path: Path) -> None:
        file, target = tmp_path / "teams.json", tmp_path / "config" / "team-mapping.yaml"
        file.write_text('{"shop": {"team_name": "Shop"}}')
        for _ in range(2):
            assert self.run("team-mapping", str(file), "-o", str(target.parent))[:2] == (0, f"Written to {target}.\n")
        assert target.stat().st_mode & 0o777 == 0o600
        target.write_text(target.read_text() + "# mine\n")
        code, _, err = self.run("team-mapping", str(file), "-o", str(target.parent))
        assert code == 1
        assert "move it away" in err
        assert target.read_text().endswith("# mine\n")

    def test_what_is_wrong_is_said(self, tmp_path: Path) -> None:
        file = tmp_path / "alertmanager.yml"
        file.write_bytes(b"\xff")
        assert "cannot be read" in self.run("alertmanager", str(file))[2]
        file.write_text("route: {receiver: a}")
        assert f"{file}:1:19: route.receiver: There is no receiver `a`" in self.run("alertmanager", str(file))[2]
