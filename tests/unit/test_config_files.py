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
from domain.routing import Route, route
from schemas.config_files import ConfigErrors, load_config, parse_config, parse_documents
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
        assert config.integrations["alertmanager"].token_hashes is None

    def test_a_critical_alert_pages_ada_and_the_channel_then_grace(self) -> None:
        config = Config.of(1, load_config([EXAMPLE]))
        assert config.root is not None
        routing = route(config.root, {"alertname": "Down", "service": "payments", "@severity": "critical"}, {})
        first, second = config.policies[routing.policy].steps
        assert (routing.policy, routing.group_wait) == ("critical", 0.0)
        assert ([config.people(target) for target in first.targets], first.escalate_after) == (
            [("ada",), ("team:platform",)],
            10.0,
        )
        assert [config.people(target) for target in second.targets] == [("grace",)]

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


# -- the channel of a team -----------------------------------------------------------------------------------------

CHANNEL = "version: 1\nescalation_policies: {ch: {steps: [{targets: [{team: dev}], escalate_after: 5m}]}}\n"
WITH, WITHOUT = "version: 1\nteams: {dev: {email: dev@example.test}}\n", "version: 1\nteams: {dev: {}}\n"


def test_a_team_has_a_channel_and_a_target_without_a_role_is_that() -> None:
    read = parse_documents({"policy": CHANNEL, "team": WITH})
    assert read["team", "dev"] == Team("dev", contacts=(ContactMethod("email", "dev@example.test"),))
    policy = read["policy", "ch"]
    assert isinstance(policy, Policy)
    (target,) = policy.steps[0].targets
    assert (target, str(target), target.recipient) == (Target(team="dev"), "team:dev", "team:dev")
    assert parse_config(CHANNEL, "policy", parse_config(WITH, "team"))["policy", "ch"] == policy


@pytest.mark.parametrize("known", [WITH, WITHOUT])
def test_what_the_files_say_of_a_team_counts_and_not_what_was_known_of_it(known: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_documents({"policy": CHANNEL, "team": WITHOUT}, parse_config(known, "team"))
    (error,) = refused.value.errors
    assert str(error) == (
        "policy:2:47: escalation_policies.ch.steps[0].targets[0]: A target without a `role` is the team's channel, and"
        " team `dev` has no `email`. Give the team an `email`, or write {team: dev, role: primary}."
    )
    assert parse_documents({"policy": CHANNEL, "team": WITH}, parse_config(known, "team"))
