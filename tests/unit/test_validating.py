"""`tocsin validate` and `tocsin settings`: everything that is wrong, in its place; every setting, and no secret."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from compose.cli import main
from compose.datadir import ApiKeys, Pids, Running, WebhookTokens
from compose.validating import NEEDED, READ_BY, stand
from schemas.config_errors import ConfigErrors
from schemas.config_files import load_config
from schemas.settings import Settings, load_settings
from tests.world import CONFIG

THEIRS = """
global: {smtp_smarthost: "mail.example.test:25", smtp_from: alerts@example.test}
route: {receiver: ops, continue_on: 7}
receivers: [{name: ops, email_configs: [{to: ops@example.test}], webhook_configs: [{url: "http://hook.example.test"}]}]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["validate", *arguments])


def test_files_are_checked_as_one_configuration(here: Path) -> None:
    head, _, routes = CONFIG.partition("route:")
    (here / "people.yaml").write_text(head)
    (here / "routes.yaml").write_text(f"version: 1\nroute:{routes}")
    done = validate("people.yaml", "routes.yaml")
    assert (done.exit_code, done.stdout) == (
        0,
        "Valid: 3 users, 2 teams, 2 services, 4 escalation policies, 1 integration, routes.\n",
    )
    alone = validate("routes.yaml")
    assert alone.exit_code == 1
    assert "There is no team `platform`" in alone.stderr


def test_everything_that_is_wrong_is_said_with_its_place_and_a_remedy(here: Path) -> None:
    wrong = CONFIG.replace("policy: two-steps}", "policy: two-stepz}", 1).replace(
        "role: primary}, ", "rolle: primary}, ", 1
    )
    (here / "config").mkdir()
    (here / "config" / "all.yaml").write_text(wrong)
    done = validate()
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert [line.split(" ")[0] for line in lines[:-1]] == [
        "config/all.yaml:8:24:",
        "config/all.yaml:8:36:",
        "config/all.yaml:11:38:",
    ]
    assert "Did you mean `two-steps`?" in lines[-2]
    assert lines[-1] == f"Error: {len(lines) - 1} errors."
    said = json.loads(validate("--json").stdout)
    assert len(said["errors"]) == len(lines) - 1
    assert set(said["errors"][0]) == {"file", "line", "column", "path", "problem", "remedy"}


@pytest.mark.parametrize(("text", "problem"), [("", "The file is empty"), ("a: [", ""), ("users: {a: {nme: x}}", "")])
def test_what_is_no_configuration_is_refused(here: Path, text: str, problem: str) -> None:
    (here / "a.yaml").write_text(text)
    done = validate("a.yaml")
    assert done.exit_code == 1
    assert done.stderr.startswith("a.yaml:")
    assert problem in done.stderr
    assert "Traceback" not in done.output


def test_an_alertmanager_yml_is_checked_for_what_it_becomes(here: Path) -> None:
    (here / "alertmanager.yml").write_text(THEIRS.replace(", continue_on: 7", ""))
    done = validate("alertmanager.yml")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Valid: ") and "routes" in done.stdout
    assert "not imported: alertmanager.yml:4:" in done.stderr
    (here / "alertmanager.yml").write_text(THEIRS.replace("receiver: ops", "receiver: opps"))
    assert validate("alertmanager.yml").exit_code == 1


def test_an_alertmanager_yml_in_a_directory_of_ours_is_refused_as_apply_does(here: Path) -> None:
    (here / "config").mkdir()
    (here / "config" / "alertmanager.yml").write_text(THEIRS.replace(", continue_on: 7", ""))
    for ours in (False, True):
        if ours:
            (here / "config" / "ours.yaml").write_text(CONFIG)
        done = validate("config")
        assert done.exit_code == 1
        place, *lines = done.stderr.splitlines()
        line = THEIRS[: THEIRS.index("receivers:")].count("\n") + 1
        assert place == (
            f"config/alertmanager.yml:{line}:1: receivers: The file is an Alertmanager's, none of ours. Import it with "
            "`tocsin import alertmanager config/alertmanager.yml`, and keep it in another directory."
        )
        assert lines == ["Error: 1 error."]
        with pytest.raises(ConfigErrors):
            load_config([here / "config"])
    assert validate("config/ours.yaml", "config/alertmanager.yml").exit_code == 0


UNREACHED = """
  routes:
    - matchers: ['env="prod"']
      routes:
        - {matchers: ['env="dev"', 'pod="a"']}
    - {matchers: ['env=~"prod|dev"']}
    - matchers: ['env="prod"', '@severity="high"']
    - matchers: ['env="dev"', 'env=~"prod"']
    - {matchers: ['env=~"dev|prod"']}
"""


def test_a_route_that_no_alert_reaches_is_a_warning(here: Path) -> None:
    head, _, _ = CONFIG.partition("  routes:")
    (here / "a.yaml").write_text(head.rstrip() + UNREACHED)
    first = head.rstrip().count("\n") + 2
    done = validate("a.yaml")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Valid: ")
    clash, taken, _, alike = done.stderr.splitlines()
    assert clash == (
        f"warning: a.yaml:{first + 3}:11: route.routes[0].routes[0]: "
        'The route `{}/{env="prod"}/{env="dev",pod="a"}` is never reached: '
        'no alert meets `env="prod"` and `env="dev"`. '
        "Correct the matchers of it and of the routes above it, or remove it."
    )
    assert taken == (
        f"warning: a.yaml:{first + 5}:7: route.routes[2]: "
        'The route `{}/{env="prod",@severity="high"}` is never reached: '
        f'`{{}}/{{env="prod"}}` in line {first + 1} comes first and takes every alert that it matches. '
        f"Move it before line {first + 1}, say `continue: true` there, or remove it."
    )
    assert alike.endswith(f"Make one route of the two, or say `continue: true` in line {first + 4}.")
    said = json.loads(validate("--json", "a.yaml").stdout)
    assert [(one["line"], one["path"]) for one in said["warnings"]] == [
        (first + 3, "route.routes[0].routes[0]"),
        *((first + 3 + place, f"route.routes[{place}]") for place in (2, 3, 4)),
    ]
    assert said["warnings"][2]["problem"].endswith('no alert meets `env="dev"` and `env=~"prod"`')
    assert said["errors"] == []


def test_so_it_is_in_an_alertmanager_yml(here: Path) -> None:
    routes = "{receiver: ops, routes: [{matchers: ['a=\"1\"']},\n  {match: {a: '1', b: '2'}}]}"
    (here / "alertmanager.yml").write_text(THEIRS.replace("{receiver: ops, continue_on: 7}", routes))
    done = validate("alertmanager.yml")
    assert done.exit_code == 0, done.output
    assert (
        'warning: alertmanager.yml:4:3: route.routes[1]: The route `{}/{a="1",b="2"}` is never reached' in done.stderr
    )
    assert '`{}/{a="1"}` in line 3 comes first' in done.stderr


def test_the_example_has_no_route_that_nothing_reaches() -> None:
    done = validate(str(Path(__file__).parents[2] / "compose" / "example"))
    assert (done.exit_code, done.stderr) == (0, "")


def test_the_directories_below_one_are_not_read_and_named(here: Path) -> None:
    for place in ("sub/deep", "empty", ".git", "named"):
        (here / "config" / place).mkdir(parents=True)
    (here / "config" / "all.yaml").write_text(CONFIG)
    (here / "config" / "empty" / "README.md").write_text("nothing")
    for place in ("sub/deep", ".git", "named"):
        (here / "config" / place / "x.yml").write_text("users: [")
    done = validate("config")
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines() == [
        f"warning: config/{place}:1:1: The directory is not read: of config only the files directly in it are. Name it "
        f"as well: `tocsin validate config config/{place}`, `tocsin apply -f config -f config/{place}`."
        for place in ("named", "sub/deep")
    ]
    both = validate("config", "config/named", "config/sub/deep/x.yml")
    assert both.exit_code == 1
    assert both.stderr.splitlines()[-1] == "Error: 2 errors."
    assert "warning" not in both.stderr
    said = json.loads(validate("config", "--json").stdout)
    assert [one["file"] for one in said["warnings"]] == ["config/named", "config/sub/deep"]


def test_an_inhibition_rule_of_two_equal_sides_is_a_warning(here: Path) -> None:
    rules = """
inhibition_rules:
  fine: {source_matchers: ['severity="critical"'], target_matchers: ['severity="warning"'], equal: [site]}
  same:
    source_matchers: ['env="prod"', 'severity="critical"']
    target_matchers: ['{severity="critical",env="prod"}']
    equal: [site]
"""
    (here / "a.yaml").write_text(CONFIG.rstrip() + rules)
    line = CONFIG.rstrip().count("\n") + 4
    done = validate("a.yaml")
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines() == [
        f"warning: a.yaml:{line}:3: inhibition_rules.same: The rule `same` inhibits nothing: both sides want the same, "
        "and an alert that matches both is not inhibited by one that does so too. Correct one side, or remove the rule."
    ]
    theirs = """
inhibit_rules:
- {sources: [{matchers: [a=b]}], target_matchers: [a=b]}
- {source_match: {a: b}, target_matchers: [a=c]}
-
- name: The same
  source_match: {a: b}
  target_matchers: [a=b]
"""
    (here / "alertmanager.yml").write_text(THEIRS.replace(", continue_on: 7", "") + theirs)
    first = THEIRS.count("\n") + 2
    done = validate("alertmanager.yml")
    assert done.exit_code == 0, done.output
    assert [line.partition(" inhibits nothing")[0] for line in done.stderr.splitlines() if "warning" in line] == [
        f"warning: alertmanager.yml:{first + 3}:2: inhibit_rules[2]: The rule `inhibition-3`",
        f"warning: alertmanager.yml:{first + 4}:3: inhibit_rules[3]: The rule `the-same`",
    ]


def test_nothing_to_check_is_said(here: Path) -> None:
    done = validate()
    assert done.exit_code == 2
    assert "there is no directory `config` here" in done.stderr


# -- settings -----------------------------------------------------------------------------------------------------


def test_every_setting_says_who_reads_it() -> None:
    assert set(READ_BY) == set(Settings.model_fields)
    assert all(READ_BY.values())
    assert set(NEEDED) <= set(READ_BY)
    assert all(set(roles) <= set(READ_BY[name]) for name, roles in NEEDED.items())


def test_secrets_are_not_shown_and_origins_are(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_SMTP_USERNAME", "tocsin")
    monkeypatch.setenv("TOCSIN_SMTP_PASSWORD", "hunter2")
    monkeypatch.setenv("TOCSIN_POSTGRES_DSN", "postgresql://tocsin:hunter2@127.0.0.1:5432/tocsin")
    monkeypatch.setenv("TOCSIN_HEARTBEAT_URL", "https://heartbeats.example.test/hunter2")
    monkeypatch.setenv("TOCSIN_LOG_LEVEL", "")
    for arguments in ((), ("--json",), ("--set",)):
        done = CliRunner().invoke(main, ["settings", *arguments])
        assert done.exit_code == 0, done.output
        assert "hunter2" not in done.output
    found = {one["name"]: one for one in json.loads(CliRunner().invoke(main, ["settings", "--json"]).stdout)}
    assert found["TOCSIN_POSTGRES_DSN"]["from"] == "environment"
    assert found["TOCSIN_POSTGRES_DSN"]["needed_by"] == ["gateway", "worker", "pager", "projector"]
    assert (found["TOCSIN_LOG_LEVEL"]["from"], found["TOCSIN_LOG_LEVEL"]["value"]) == ("default", "info")
    assert (found["TOCSIN_KAFKA_BOOTSTRAP"]["set"], found["TOCSIN_KAFKA_BOOTSTRAP"]["value"]) == (False, None)


def test_what_runs_here_says_where_kafka_and_postgres_are() -> None:
    running = Running(
        gateway_url="http://127.0.0.1:1",
        kafka_bootstrap="127.0.0.1:2",
        postgres_dsn="postgresql://tocsin:hunter2@127.0.0.1:3/tocsin",
        mailbox="",
        api_keys=ApiKeys("a", "b", "c"),
        webhook_tokens=WebhookTokens("a", "b", "c"),
        pids=Pids(),
        started_at="",
        data_dir="",
        topic_prefix="",
    )
    found = {one.variable: one for one in stand(load_settings(), {}, running)}
    assert (found["TOCSIN_KAFKA_BOOTSTRAP"].value, found["TOCSIN_KAFKA_BOOTSTRAP"].origin) == (
        "127.0.0.1:2",
        "run.json",
    )
    assert "hunter2" not in str(found["TOCSIN_POSTGRES_DSN"])


def test_a_wrong_setting_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_LOG_LEVEL", "loud")
    done = CliRunner().invoke(main, ["settings"])
    assert done.exit_code == 1
    assert "TOCSIN_LOG_LEVEL is wrong" in done.stderr
