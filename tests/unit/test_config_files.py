"""Configuration files: every kind of mistake in its place with its remedy, and objects that survive writing."""

import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.config import (
    ApiKey,
    Config,
    ConfigObject,
    ContactMethod,
    Integration,
    Member,
    Policy,
    RouteTree,
    Service,
    Step,
    Target,
    Team,
    User,
)
from domain.routing import Matcher, MatchOperator, Route, route
from schemas.config_files import ConfigErrors, dump_config, load_config, parse_config, parse_documents
from schemas.config_models import config_schema, config_schema_text

ROOM = Path(__file__).parents[2]
EXAMPLE = ROOM / "compose" / "example"
SCHEMA = jsonschema.Draft202012Validator(config_schema())
HASH = "sha256:" + "ab" * 32

GOOD = """\
version: 1
users:
  ada: {name: Ada Example, email: ada@example.test}
teams:
  platform: {members: [{user: ada, role: primary}]}
services:
  payments: {team: platform, policy: calm}
escalation_policies:
  calm: {steps: [{targets: [{user: ada}], escalate_after: 5m}]}
route:
  team: platform
  policy: calm
"""


def objects(text: str) -> dict[tuple[str, str], ConfigObject]:
    return dict(parse_config("version: 1\n" + text, "f.yaml"))


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(text, "f.yaml")
    assert str(refused.value).splitlines() == [str(error) for error in refused.value.errors]
    return [str(error) for error in refused.value.errors]


class TestReading:
    def test_every_section_becomes_its_objects(self) -> None:
        assert objects(GOOD.removeprefix("version: 1\n")) == {
            ("user", "ada"): User("ada", "Ada Example", (ContactMethod("email", "ada@example.test"),)),
            ("team", "platform"): Team("platform", (Member("ada", "primary"),)),
            ("service", "payments"): Service("payments", "platform", "calm"),
            ("policy", "calm"): Policy("calm", (Step((Target(user="ada"),), 300.0),), 1),
            ("route_tree", "default"): RouteTree(Route(team="platform", policy="calm")),
        }

    def test_tokens_are_kept_as_bare_digits(self) -> None:
        found = objects(
            f"integrations: {{am: {{source: alertmanager, token_hashes: ['{HASH.upper().replace('SHA', 'sha')}']}}}}\n"
            f"api_keys: {{ci: {{role: responder, hash: 'sha256:{'0' * 64}'}}}}"
        )
        assert found["integration", "am"] == Integration("am", "alertmanager", ("ab" * 32,), 1)
        assert found["api_key", "ci"] == ApiKey("ci", "responder", "0" * 64)

    def test_a_route_reads_matchers_durations_and_children(self) -> None:
        text = GOOD + (
            "  group_by: [alertname]\n  group_wait: 1h30m\n  routes:\n"
            "    - matchers: ['severity=\"critical\"', '{env!=dev, team=~\"a|b\"}']\n      group_by: []\n"
        )
        tree = parse_config(text, "f.yaml")["route_tree", "default"]
        assert isinstance(tree, RouteTree)
        assert (tree.root.group_by, tree.root.group_wait) == (("alertname",), 5400.0)
        (child,) = tree.root.routes
        assert child.group_by == ()
        assert [str(matcher) for matcher in child.matchers] == ['severity="critical"', 'env!="dev"', 'team=~"a|b"']

    def test_sections_may_be_empty_and_files_may_have_any(self) -> None:
        assert objects("users:\nteams:\n") == {}
        assert objects("route:\n") == {}

    def test_references_cross_documents_in_any_order(self) -> None:
        parts = {
            "b": "version: 1\nservices: {s: {team: t, policy: p}}",
            "a": "version: 1\nescalation_policies: {p: {steps: [{targets: [{user: u}], escalate_after: 1s}]}}",
            "c": "version: 1\nusers: {u: {}}\nteams: {t: {}}",
        }
        assert set(parse_documents(parts)) == {("service", "s"), ("team", "t"), ("policy", "p"), ("user", "u")}

    def test_references_may_name_what_exists_already(self) -> None:
        known = parse_config(GOOD, "f.yaml")
        assert parse_config("version: 1\nservices: {search: {team: platform, policy: calm}}", "g.yaml", known) == {
            ("service", "search"): Service("search", "platform", "calm")
        }


AFTER = "escalation_policies.calm.steps[0].escalate_after"
TARGET = "escalation_policies.calm.steps[0].targets[0]"
LOOPS = "escalation_policies.calm.loops"
MATCHER = "route.routes[0].matchers[0]"

# (text, line, column, path, problem, remedy); the text follows `version: 1` in line 1 unless it has its own
MISTAKES: list[tuple[str, int, int, str, str, str]] = [
    # syntax
    ("users: [", 3, 1, "", "This is not YAML: did not find expected node content", "Check the indentation"),
    ("users:\n\tada: {}", 3, 1, "", "cannot start any token", "Indent with spaces"),
    ("a: b: c", 2, 5, "", "mapping values are not allowed", "colons and quotes"),
    ("users: {ada: {name: 'x}}", 2, 25, "", "unexpected end of stream", "quotes"),
    ("users: \x07", 2, 8, "", "A character here is not allowed in YAML", "Remove it"),
    ('users: {ada: {name: "\\0"}}', 2, 21, "users.ada.name", "a character that cannot be stored", "Remove it"),
    ('users: {ada: {name: "\\ud800"}}', 2, 24, "", "invalid Unicode character escape", "quotes"),
    ("---\nusers: {}", 2, 1, "", "The file holds a second document", "its own file"),
    ("users: &people {}\n", 2, 8, "users", "`&people`: anchors and aliases are not part", "Write the value out"),
    ("users: *people\n", 2, 8, "users", "`*people`: anchors and aliases are not part", "Write the value out"),
    ("<<: {a: 1}", 2, 1, "<<", "YAML reads the name `<<` as a merge sign", 'Write "<<" in quotes'),
    ("users: !!map {}", 2, 8, "users", "Tags (!) are not part of this format", "Remove the tag"),
    ("users: !!python/object/apply:os.system [x]", 2, 8, "users", "Tags (!) are not part", "Remove the tag"),
    ("users: {? [a] : {}}", 2, 11, "users", "A name is a list or a mapping", "as text"),
    ("users: " + "[" * 80, 2, 71, "", "nests deeper than 64 levels", "flatter"),
    # the file as a whole
    ("- a", 1, 1, "", "A list stands where a mapping is wanted", "`key: value`"),
    ("users: {}", 1, 1, "version", "`version` is missing", "`version:`"),
    ("version: 2", 1, 10, "version", "There is no version `2` of this format", "Write `version: 1`"),
    ("version: '1'", 1, 10, "version", "There is no version `1` of this format", "Write `version: 1`"),
    ("teems: {}", 2, 1, "teems", "There is no key `teems` here", "Did you mean `teams`?"),
    ("zzz: {}", 2, 1, "zzz", "There is no key `zzz` here", "Known: version, users, teams"),
    ("users: [ada]", 2, 8, "users", "A list stands where a mapping is wanted", "`key: value`"),
    ("users: ada", 2, 8, "users", "`ada` stands where a mapping is wanted", "`key: value`"),
    # names and duplicates
    ("users:\n  ada: {}\n  ada: {}", 4, 3, "users.ada", "`ada` is there twice; the first is in line 3", "Remove one"),
    ("users: {}\nusers: {}", 3, 1, "users", "`users` is there twice; the first is in line 2", "Remove one"),
    ("users: {Ada: {}}", 2, 9, "users.Ada", "`Ada` is not a name", "Use 1 to 63 of a-z 0-9 . _ -"),
    (f"users: {{{'a' * 64}: {{}}}}", 2, 9, "users." + "a" * 64, "is not a name", "1 to 63"),
    ("users: {no: {}}", 2, 9, "users.no", "YAML reads the name `no` as a boolean", 'Write "no" in quotes'),
    ("users: {12: {}}", 2, 9, "users.12", "YAML reads the name `12` as a number", 'Write "12" in quotes'),
    ("users: {~: {}}", 2, 9, "users.~", "YAML reads the name `~` as nothing", 'Write "~" in quotes'),
    ("users: {on: {}}", 2, 9, "users.on", "YAML reads the name `on` as a boolean", 'Write "on" in quotes'),
    ("users: {1:30: {}}", 2, 9, "users.1:30", "YAML reads the name `1:30` as a number", 'Write "1:30" in quotes'),
    # types, and what YAML 1.1 makes of things
    ("users: {ada: {name: no}}", 2, 21, "users.ada.name", "YAML reads `no` as a boolean", 'Write "no" in quotes'),
    ("users: {ada: {name: 12}}", 2, 21, "users.ada.name", "YAML reads `12` as a number", 'Write "12" in quotes'),
    ("users: {ada: {name: 1:30}}", 2, 21, "users.ada.name", "YAML reads `1:30` as a number", 'Write "1:30"'),
    ("users: {ada: {name: 0x1F}}", 2, 21, "users.ada.name", "YAML reads `0x1F` as a number", 'Write "0x1F"'),
    ("users: {ada: {name: 1.5}}", 2, 21, "users.ada.name", "YAML reads `1.5` as a number", 'Write "1.5"'),
    ("users: {ada: {name: 2026-11-20}}", 2, 21, "users.ada.name", "reads `2026-11-20` as a date", "in quotes"),
    ("users: {ada: {name: }}", 2, 21, "users.ada.name", "There is no value", "Write one, or remove the line"),
    ("users: {ada: {name: [x]}}", 2, 21, "users.ada.name", "A list stands where a text is wanted", "a single text"),
    ("users: {ada: {name: \"A\\nB\"}}", 2, 21, "users.ada.name", "The value has a control character", "in one line"),
    ("users: {ada: {email: ada}}", 2, 22, "users.ada.email", "`ada` is not a mail address", "name@example.test"),
    ("users: {ada: {nmae: x}}", 2, 15, "users.ada.nmae", "There is no key `nmae` here", "Did you mean `name`?"),
    (f"users: {{ada: {{name: {'x' * 201}}}}}", 2, 21, "users.ada.name", "`name` is too long", "at most 200"),
    ("users: {ada: {}}\nteams: {t: {members: {user: ada}}}", 3, 22, "teams.t.members", "A mapping stands where", "-"),
    (
        "users: {ada: {}}\nteams: {t: {members: [{user: ada}]}}",
        3, 23, "teams.t.members[0].role", "`role` is missing", "Add a line `role:`",
    ),
    (
        "users: {ada: {}}\nteams: {t: {members: [{user: ada, role: r}, {user: ada, role: r}]}}",
        3, 12, "teams.t", "`ada` is listed twice as r", "Remove one of the two",
    ),
    # references
    (
        "users: {ada: {}, grace: {}}\nteams: {t: {members: [{user: grcae, role: r}]}}",
        3, 30, "teams.t.members[0].user", "There is no user `grcae`", "Did you mean `grace`?",
    ),
    (
        GOOD.replace("payments: {team: platform", "payments: {team: zz"),
        7, 20, "services.payments.team", "There is no team `zz`", "Define a team of this name",
    ),
    (
        "teams: {t: {}}\nservices: {s: {team: t, policy: yy}}",
        3, 33, "services.s.policy", "There is no escalation policy `yy`", "Define an escalation policy",
    ),
    (f"api_keys: {{k: {{role: viewer, hash: '{HASH}', user: ada}}}}", 2, 117, "api_keys.k.user", "no user", "Define"),
    (GOOD + "  service: paymnts\n", 13, 12, "route.service", "There is no service `paymnts`", "`payments`?"),
    (GOOD + "  routes: [{team: platfrom}]\n", 13, 19, "route.routes[0].team", "no team `platfrom`", "`platform`?"),
    # escalation policies
    ("escalation_policies: {p: {steps: []}}", 2, 34, "escalation_policies.p.steps", "The list is empty", "at least 1"),
    ("escalation_policies: {p: {steps: }}", 2, 34, "escalation_policies.p.steps", "There is no value", "Write it"),
    ("escalation_policies: {p: }", 2, 26, "escalation_policies.p", "There is no value; a mapping", "Write it"),
    (GOOD.replace("calm: {", "calm: {loops: 0, "), 9, 17, LOOPS, "`0` is too small", "1 or more"),
    (GOOD.replace("calm: {", "calm: {loops: 999, "), 9, 17, LOOPS, "too large", "100 or less"),
    (GOOD.replace("calm: {", "calm: {loops: 1:30, "), 9, 17, LOOPS, "`1:30` is not a", "digits"),
    (GOOD.replace("calm: {", "calm: {loops: two, "), 9, 17, LOOPS, "`two` is not a", "digits"),
    (GOOD.replace("[{user: ada}]", "[]"), 9, 28, "escalation_policies.calm.steps[0].targets", "The list is empty", "1"),
    (
        GOOD.replace("[{user: ada}]", "[{user: ada, team: platform, role: primary}]"),
        9, 29, TARGET, "either a user, or a team and a role", "{user: ada}",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{team: platform}]"),
        9, 29, TARGET, "either a user, or a team and a role", "role: primary",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{user: adda}]"),
        9, 36, TARGET + ".user", "There is no user `adda`", "Did you mean `ada`?",
    ),
    (GOOD.replace("5m", "5"), 9, 59, AFTER, "without a unit", "5s for seconds"),
    (GOOD.replace("5m", "1:30"), 9, 59, AFTER, "`1:30` is not", "1h30m"),
    (GOOD.replace("5m", "five"), 9, 59, AFTER, "`five` is not", "1h30m"),
    (GOOD.replace("5m", "0s"), 9, 59, AFTER, "at least a second", "1s or more"),
    (GOOD.replace("5m", "2y"), 9, 59, AFTER, "longer than a year", "30s"),
    (GOOD.replace("5m", "[]"), 9, 59, AFTER, "A duration is wanted", "30s"),
    # routes
    (GOOD.replace("  policy: calm\n", ""), 10, 1, "route.policy", "`policy` is missing", "Add a line `policy:`"),
    (GOOD.replace("  team: platform\n", ""), 10, 1, "route.team", "`team` is missing", "Add a line `team:`"),
    (GOOD + "  matchers: [a=b]\n", 11, 3, "route", "takes every alert and has no matchers", "a route under `routes`"),
    (GOOD + "  group_by: [a-b]\n", 13, 14, "route.group_by[0]", "`a-b` is not a label name", "letters, digits and _"),
    (GOOD + "  group_by: ['...']\n", 13, 14, "route.group_by[0]", "Grouping by all labels", "Name the labels"),
    (GOOD + "  group_by: alertname\n", 13, 13, "route.group_by", "`alertname` stands where a list", "[one, two]"),
    (GOOD + "  group_wait: 10\n", 13, 15, "route.group_wait", "10 is a number without a unit", "Write 10s"),
    (GOOD + "  routes: [{matchers: [x]}]\n", 13, 24, MATCHER, "`x` is not a matcher", "= != =~ !~"),
    (
        GOOD + "  routes: [{matchers: ['a=~\"(\"']}]\n",
        13, 24, MATCHER, "The regular expression does not compile: missing )", "Correct",
    ),
    (
        GOOD + "  routes: [{matchers: ['a=~\"(?i)x\"']}]\n",
        13, 24, MATCHER, "does not compile", "Write (?i:x) instead",
    ),
    (GOOD + "  routes: [{matchers: [5]}]\n", 13, 24, MATCHER, "A matcher is a text", "single quotes"),
    (
        GOOD + "  routes: [{routes: [{mathcers: []}]}]\n",
        13, 23, "route.routes[0].routes[0].mathcers", "There is no key `mathcers` here", "Did you mean `matchers`?",
    ),
    # integrations and keys
    ("integrations: {am: {source: alertmangr}}", 2, 29, "integrations.am.source", "no source `alertmangr`", "Did you"),
    ("integrations: {am: {}}", 2, 16, "integrations.am.source", "`source` is missing", "Add a line `source:`"),
    (
        "integrations: {am: {source: alertmanager, token_hashes: [hunter2]}}",
        2, 58, "integrations.am.token_hashes[0]", "The value is not sha256: and 64", "`tocsin token`",
    ),
    (
        "integrations: {am: {source: alertmanager, token_hashes: [12345678]}}",
        2, 58, "integrations.am.token_hashes[0]", "YAML reads this as a number", "double quotes",
    ),
    ("integrations: {am: {source: alertmanager, shards: 0}}", 2, 51, "integrations.am.shards", "`0` is too", "1 or"),
    (f"api_keys: {{k: {{role: amin, hash: '{HASH}'}}}}", 2, 22, "api_keys.k.role", "`amin` is not known", "'admin'"),
    ("api_keys: {k: {role: admin, hash: 'sha256:zz'}}", 2, 35, "api_keys.k.hash", "is not sha256:", "`tocsin token`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "path", "problem", "remedy"), MISTAKES)
def test_a_mistake_is_refused_in_its_place_with_a_remedy(
    text: str, line: int, column: int, path: str, problem: str, remedy: str
) -> None:
    (error,) = errors(text if "version" in text or line == 1 else f"version: 1\n{text}")
    assert error.startswith(f"f.yaml:{line}:{column}: {path}{': ' if path else ''}")
    assert problem in error
    assert remedy in error
    assert "hunter2" not in error
    assert "12345678" not in error


class TestErrors:
    def test_all_are_found_at_once_in_the_order_of_the_files(self) -> None:
        with pytest.raises(ConfigErrors) as refused:
            parse_documents(
                {
                    "b.yaml": "version: 1\nusers: {ada: {nmae: x}, 12: {}}\nservices: {s: {team: t, policy: p}}",
                    "a.yaml": "version: 1\nteams: [\n",
                }
            )
        assert [str(error).split(": ")[:2] for error in refused.value.errors] == [
            ["b.yaml:2:15", "users.ada.nmae"],
            ["b.yaml:2:25", "users.12"],
            ["b.yaml:3:22", "services.s.team"],
            ["b.yaml:3:33", "services.s.policy"],
            ["a.yaml:3:1", "This is not YAML"],
        ]

    def test_one_error_per_mistake(self) -> None:
        assert errors("version: 1\nusers: {? [a] : {}, <<: 1}") == [
            "f.yaml:2:11: users: A name is a list or a mapping. Write the name as text.",
            'f.yaml:2:21: users.<<: YAML reads the name `<<` as a merge sign. Write "<<" in quotes.',
        ]

    def test_an_object_in_two_files_is_named_with_its_first_place(self) -> None:
        with pytest.raises(ConfigErrors) as refused:
            parse_documents(
                {"a.yaml": GOOD, "b.yaml": "version: 1\nusers: {ada: {}}\nroute: {team: platform, policy: calm}"}
            )
        assert str(refused.value).splitlines() == [
            "b.yaml:2:9: users.ada: It is defined already in a.yaml:3. Remove one of the two, or merge them.",
            "b.yaml:3:1: route: It is defined already in a.yaml:10. Remove one of the two, or merge them.",
        ]

    def test_two_integrations_may_not_share_a_token(self) -> None:
        line = f"{{source: alertmanager, token_hashes: ['{HASH}']}}"
        (error,) = errors(f"version: 1\nintegrations:\n  a: {line}\n  b: {line}")
        assert error.startswith(
            "f.yaml:4:3: integrations.b: It has the same hash as integration `a`. Run `tocsin token`"
        )

    @pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "~"])
    def test_an_empty_document_says_how_to_begin(self, text: str) -> None:
        (error,) = errors(text)
        assert error == "f.yaml:1:1: The file is empty. Begin it with `version: 1`."

    def test_too_large_a_document(self) -> None:
        assert "more than 1048576 bytes. Split it" in errors("# " + "ä" * 600_000)[0]

    def test_too_many_objects(self) -> None:
        many = "".join(f" u{n}: {{}}\n" for n in range(10_001))
        assert errors(f"version: 1\nusers:\n{many}") == [
            "f.yaml:10003:2: users.u10000: There are more than 10000 objects. "
            "Split the organisation into several, each with its own Tocsin."
        ]

    @pytest.mark.parametrize("count", [1500, 3000])
    def test_many_mistakes_take_no_longer_than_a_person_waits(self, count: int) -> None:
        teams = "".join(f" team-number-{n}: {{}}\n" for n in range(count))
        services = "".join(f" s{n}: {{team: taem-number-{n}, policy: p, z{n}: 1}}\n" for n in range(count))
        started = time.monotonic()
        assert len(errors(f"version: 1\nteams:\n{teams}services:\n{services}")) == 1000
        assert time.monotonic() - started < 10

    @pytest.mark.parametrize(
        "bomb", ["a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]", "[" * 500_000, "{a: " * 100_000, "- " * 200_000]
    )
    def test_no_bomb_goes_off(self, bomb: str) -> None:
        started = time.monotonic()
        errors(f"version: 1\nusers: {bomb}" if bomb[0] in "[{" else bomb)
        assert time.monotonic() - started < 10


class TestFiles:
    def write(self, folder: Path, **files: str | bytes) -> Path:
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            (folder / f"{name}.yaml").write_bytes(data)
        return folder

    def test_files_and_directories_are_read_together(self, tmp_path: Path) -> None:
        below = tmp_path / "more"
        below.mkdir()
        self.write(tmp_path, a=GOOD)
        (below / "b.yml").write_text("version: 1\nusers: {grace: {}}")
        (below / "notes.txt").write_text("not configuration")
        assert ("user", "grace") not in load_config([tmp_path])
        assert ("user", "grace") in load_config([tmp_path, below])

    def test_errors_name_the_file(self, tmp_path: Path) -> None:
        self.write(tmp_path, a=GOOD.replace("ada}", "adda}"), b=b"version: 1\n# \xe4\n", c="version: 1\nx: 1")
        (tmp_path / "empty").mkdir()
        with pytest.raises(ConfigErrors) as refused:
            load_config([tmp_path, tmp_path / "gone.yaml", tmp_path / "empty"])
        text = str(refused.value)
        assert f"{tmp_path}/a.yaml:9:36: escalation_policies.calm.steps[0].targets[0].user" in text
        assert f"{tmp_path}/b.yaml:2:3: The file is not UTF-8. Save it as UTF-8." in text
        assert f"{tmp_path}/c.yaml:2:1: x: There is no key" in text
        assert f"{tmp_path}/gone.yaml:1:1: It cannot be read: No such file or directory." in text
        assert f"{tmp_path}/empty:1:1: The directory has no *.yaml or *.yml file." in text

    def test_a_large_file_is_refused_without_reading_it_all(self, tmp_path: Path) -> None:
        self.write(tmp_path, a="#" * (1024 * 1024 + 1))
        with pytest.raises(ConfigErrors, match="more than 1048576 bytes"):
            load_config([tmp_path])

    def test_a_byte_order_mark_is_no_mistake(self, tmp_path: Path) -> None:
        assert load_config([self.write(tmp_path, a=b"\xef\xbb\xbf" + GOOD.encode())])

    def test_a_whole_configuration_needs_a_route(self, tmp_path: Path) -> None:
        self.write(tmp_path, a="version: 1\nusers: {ada: {}}")
        with pytest.raises(ConfigErrors, match=r"a\.yaml:1:1: route: No file has a route\. Add `route:`"):
            load_config([tmp_path])
        assert load_config([tmp_path], known={("route_tree", "default"): RouteTree(Route(team="t", policy="p"))})


class TestTheExample:
    def test_it_is_a_whole_configuration(self) -> None:
        config = Config.of(1, load_config([EXAMPLE]))
        assert set(config.services) == {"payments", "checkout", "search"}
        assert set(config.users) == {"ada", "grace"}
        assert config.integrations["alertmanager"].token_hashes == ()

    def test_a_critical_alert_pages_ada_then_grace(self) -> None:
        config = Config.of(1, load_config([EXAMPLE]))
        assert config.root is not None
        routing = route(config.root, {"alertname": "Down", "service": "payments", "severity": "critical"}, {})
        first, second = config.policies[routing.policy].steps
        assert (config.people(first.targets[0]), first.escalate_after) == (("ada",), 10.0)
        assert config.people(second.targets[0]) == ("grace",)

    def test_every_section_is_explained(self) -> None:
        for file in EXAMPLE.glob("*.yaml"):
            lines = file.read_text().splitlines()
            for number, line in enumerate(lines):
                if line[:1].isalpha() and not line.startswith("version"):
                    assert lines[number - 1].startswith("#"), f"{file.name}:{number + 1} has no comment"


class TestTheSchema:
    def test_the_published_schema_is_current(self) -> None:
        published = (ROOM / "schemas" / "config_schema.json").read_text()
        assert published == config_schema_text(), (
            'run: python -c "from schemas.config_models import config_schema_text as t; '
            "open('schemas/config_schema.json', 'w').write(t())\""
        )

    def test_it_is_a_schema_and_takes_the_example(self) -> None:
        jsonschema.Draft202012Validator.check_schema(config_schema())
        for file in EXAMPLE.glob("*.yaml"):
            SCHEMA.validate(yaml.safe_load(file.read_text()))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"version": 2},
            {"version": 1, "teems": {}},
            {"version": 1, "users": {"Ada": {}}},
            {"version": 1, "users": {"ada": {"name": True}}},
            {"version": 1, "escalation_policies": {"p": {"steps": []}}},
            {"version": 1, "escalation_policies": {"p": {"steps": [{"targets": [{}], "escalate_after": 300}]}}},
            {"version": 1, "api_keys": {"k": {"role": "root", "hash": HASH}}},
        ],
    )
    def test_it_refuses_what_the_reader_refuses(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(jsonschema.ValidationError):
            SCHEMA.validate(wrong)
        errors(yaml.safe_dump(wrong))


names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,5}", fullmatch=True) | st.sampled_from(
    ["no", "on", "null", "1", "1e3", "0x1", "1.5"]
)
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
titles = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
labels = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
delays = st.integers(1000, 10**9).map(lambda milliseconds: milliseconds / 1000)
waits = st.integers(0, 10**9).map(lambda milliseconds: milliseconds / 1000)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
patterns = st.sampled_from(["a|b", "5..", "\\d+", 'x"y', "", "(?i:x)", "a\nb"])
matchers = st.builds(
    Matcher, labels, st.sampled_from([MatchOperator.EQUAL, MatchOperator.NOT_EQUAL]), words
) | st.builds(Matcher, labels, st.sampled_from([MatchOperator.MATCHES, MatchOperator.NOT_MATCHES]), patterns)


@st.composite
def configurations(draw: st.DrawFn) -> dict[tuple[str, str], ConfigObject]:
    """Objects that refer to each other only."""

    def some(least: int = 0) -> list[str]:
        return draw(st.lists(names, min_size=least, max_size=3, unique=True))

    def listed(of: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> tuple[Any, ...]:
        return tuple(draw(st.lists(of, min_size=least, max_size=most, unique_by=repr)))

    users, teams, policies, services = some(1), some(1), some(1), some()
    user, team, policy = map(st.sampled_from, (users, teams, policies))
    address = st.from_regex(r"[^@\s]{1,9}@[^@\s]{1,9}", fullmatch=True).filter(lambda a: a.isprintable())
    contact = st.builds(ContactMethod, st.just("email"), address)
    target = st.builds(Target, user=user) | st.builds(Target, team=team, role=names)
    maybe_service = st.none() | st.sampled_from(services) if services else st.none()

    def node(below: st.SearchStrategy[Route]) -> st.SearchStrategy[Route]:
        return st.builds(
            Route,
            matchers=st.lists(matchers, max_size=2).map(tuple),
            service=maybe_service,
            team=st.none() | team,
            policy=st.none() | policy,
            group_by=st.none() | st.lists(labels, max_size=2).map(tuple),
            group_wait=st.none() | waits,
            routes=st.lists(below, max_size=2).map(tuple),
        )

    children = draw(st.lists(node(node(st.builds(Route))), max_size=2))
    made: list[ConfigObject] = [
        RouteTree(
            Route(team=draw(team), policy=draw(policy), group_wait=draw(st.none() | waits), routes=tuple(children))
        ),
        *(User(name, draw(titles), listed(contact, most=1)) for name in users),
        *(Team(name, listed(st.builds(Member, user, names))) for name in teams),
        *(Service(name, draw(team), draw(policy)) for name in services),
        *(
            Policy(
                name, tuple(Step(listed(target, least=1), draw(delays)) for _ in range(2)), draw(st.integers(1, 100))
            )
            for name in policies
        ),
    ]
    tokens = draw(st.lists(hashes, min_size=4, max_size=4, unique=True))
    made += [Integration(name, "alertmanager", (tokens[n],), draw(st.integers(1, 24))) for n, name in enumerate(some())]
    role = st.sampled_from(["viewer", "responder", "admin"])
    made.append(ApiKey(draw(names), draw(role), tokens[3], draw(st.none() | user)))
    return {(thing.kind, thing.id): thing for thing in made}


@settings(max_examples=40, deadline=None)
@given(configurations())
def test_what_is_written_is_read_back(configuration: dict[tuple[str, str], ConfigObject]) -> None:
    text = dump_config(configuration.values())
    assert parse_config(text, "dump") == configuration
    assert dump_config(parse_config(text, "dump").values()) == text
    SCHEMA.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "value", ["\x85", "\u2028x", "\ttab", "\ufeff", " x ", "é", "a\nb", "no", "# x", "'\"", "\x7f", "\N{FIRE}"]
)
def test_odd_values_are_written_so_that_yaml_keeps_them(value: str) -> None:
    routes = (Route(matchers=(Matcher("a", MatchOperator.EQUAL, value),), team="t"),)
    written = [RouteTree(Route(team="t", policy="p", routes=routes))]
    known: dict[tuple[str, str], ConfigObject] = {("team", "t"): Team("t"), ("policy", "p"): Policy("p", ())}
    assert list(parse_config(dump_config(written), "dump", known).values()) == written


def test_what_the_format_cannot_say_is_not_written() -> None:
    with pytest.raises(ValueError, match="contacts that the format cannot say"):
        dump_config([User("ada", contacts=(ContactMethod("sms", "+100"),))])


FRAGMENTS = [
    "users:",
    " ada:",
    " {",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "'",
    '"',
    "&a",
    "*a",
    "!!x",
    "<<",
    "? ",
    "---",
    "|",
    "no",
    "1:30",
]


@settings(max_examples=300, deadline=None)
@given(
    st.text()
    | st.lists(st.sampled_from(FRAGMENTS)).map("".join)
    | st.tuples(st.integers(0, len(GOOD)), st.sampled_from(FRAGMENTS)).map(lambda c: GOOD[: c[0]] + c[1] + GOOD[c[0] :])
)
def test_whatever_the_text_objects_or_errors_with_places(text: str) -> None:
    try:
        parse_config(text, "f.yaml")
    except ConfigErrors as refused:
        assert refused.errors
        for error in refused.errors:
            assert error.line >= 1
            assert error.column >= 1
            assert error.problem
            assert error.remedy
