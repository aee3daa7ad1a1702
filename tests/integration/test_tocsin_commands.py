"""`tocsin ack|assign|comment|create|...` and `tocsin apply|export|config`, from the command line to the events."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import httpx
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from compose import acting, client, configuring, direct, people
from compose.cli import main
from compose.client import Access, Client
from domain import incidents
from schemas.config_files import parse_config
from streams.configuring import objects_of
from tests.asking import opened, state
from tests.gateway_world import KEYS, GatewayWorld

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def world() -> Iterator[GatewayWorld]:
    with GatewayWorld() as made:
        yield made


def handled(world: GatewayWorld, request: httpx.Request) -> httpx.Response:
    """The gateway's answer to a client's request."""
    path = request.url.raw_path.decode()
    found = world.request(request.method, path, headers=dict(request.headers), content=request.content)
    headers = {name: value for name, value in found.headers.items() if name != "content-length"}
    return httpx.Response(found.status_code, headers=headers, content=found.content)


@pytest.fixture
def tocsin(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin` with these arguments against the world's gateway; `role` is whose key is used."""
    monkeypatch.setattr("compose.client.time.sleep", lambda _: None)

    def run(*arguments: str, role: str = "responder", answer: Answer | None = None, text: str = "") -> Result:
        transport = httpx.MockTransport(answer or (lambda request: handled(world, request)))
        monkeypatch.setattr(people, "Client", lambda access: Client(access, transport))
        access = ["--url", "http://gateway.test", "--key", KEYS[role]]
        with capture_logs():
            return CliRunner().invoke(main, [*arguments, *access], input=text)

    return run


def said(result: Result, *lines: str) -> None:
    """The command succeeded and said exactly this."""
    assert (result.exit_code, result.output.splitlines()) == (0, list(lines)), result.stderr


def test_every_verb(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    name = opened(world)
    said(tocsin("ack", name), f"{name} is acknowledged.")
    said(tocsin("ack", name), f"{name} is acknowledged already.")
    said(tocsin("unack", name), f"{name} is triggered.")
    said(tocsin("start", name), f"{name} is in_progress.")
    said(tocsin("assign", name, "grace", "ada"), f"{name} is assigned to grace, ada.")
    said(tocsin("assign", name, "--nobody"), f"{name} is assigned to nobody.")
    said(tocsin("severity", name, "low"), f"{name} is of severity low.")
    said(tocsin("comment", name, "words"), f"Written down about {name}.")
    said(tocsin("comment", name, "-", text="more\nwords\n"), f"Written down about {name}.")
    said(tocsin("resolve", name), f"{name} is resolved.")
    said(tocsin("reopen", name), f"{name} is triggered.")
    said(tocsin("create", "The shop is slow", "--service", "payments", "--severity", "high"), "INC-2 is triggered.")
    assert {event.decision.cause.origin for event in world.store.tail(0, 1000)[-2:]} == {"cli"}


def test_all_of_a_service_are_acknowledged_at_once(
    world: GatewayWorld, tocsin: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "MOST_AT_ONCE", 2)

    def meanwhile(request: httpx.Request) -> httpx.Response:
        """INC-5 ends while the others are acknowledged."""
        if request.url.path.endswith("/INC-5/ack"):
            world.tell("INC-5", "resolve")
        return handled(world, request)

    for number in range(5):
        tocsin("create", f"Till {number} is stuck", "--service", "payments")
    tocsin("create", "Search is empty", "--service", "catalogue")
    tocsin("resolve", "INC-2")
    tocsin("ack", "INC-3")
    passed = tocsin("ack", "--service", "payments", answer=meanwhile)
    assert passed.stdout == "2 incidents of payments acknowledged.\n"
    assert passed.stderr.startswith("INC-5 is resolved")
    said(tocsin("ack", "--service", "payments"), "0 incidents of payments acknowledged.")
    assert [state(world, f"INC-{number}").status.value for number in (1, 4, 6)] == [
        "acknowledged",
        "acknowledged",
        "triggered",
    ]


def test_an_acknowledgement_is_of_incidents_or_of_a_service(tocsin: Callable[..., Result]) -> None:
    for arguments in ((), ("INC-1", "--service", "payments")):
        assert "Name incidents, or a --service." in tocsin("ack", *arguments).stderr


def test_a_refusal_is_a_sentence(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    name = opened(world)
    tocsin("resolve", name)
    refused = tocsin("ack", name)
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: {name} is resolved: resolved by user ada at 2026-03-02 03:00:00 UTC. Reo")
    assert tocsin("assign", name).exit_code == 2
    assert "no user `nobody`" in tocsin("assign", opened(world, "Other"), "nobody").stderr


@pytest.mark.parametrize("failure", ["lost", "unavailable"])
def test_a_command_whose_answer_is_lost_is_done_once(
    world: GatewayWorld, tocsin: Callable[..., Result], failure: str
) -> None:
    asked: list[str] = []

    def lossy(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["idempotency-key"])
        answer = handled(world, request)
        if len(asked) > 1:
            return answer
        if failure == "lost":
            raise httpx.ReadError("connection lost")
        return httpx.Response(503, json={"detail": "It may be done"})

    said(tocsin("create", "x", answer=lossy), "INC-1 is triggered.")
    assert len(asked) == 2 and len(set(asked)) == 1
    assert sum(isinstance(event.event, incidents.Opened) for event in world.store.tail(0, 1000)) == 1


def test_a_gateway_that_never_answers_is_given_up_on(tocsin: Callable[..., Result]) -> None:
    asked: list[httpx.Request] = []

    def silent(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ConnectError("refused")

    result = tocsin("ack", "INC-1", answer=silent)
    assert (result.exit_code, len(asked)) == (1, client.ATTEMPTS)
    assert "does not answer" in result.stderr


# -- configuration -------------------------------------------------------------------------------------------------

TEAM = "version: 1\nteams:\n  spare: {members: [{user: ada, role: lead}]}\n"


def test_apply_shows_what_changes_before_it_writes(
    world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text(TEAM)
    created = ["create  teams/spare", "        members[0].user: ada", "        members[0].role: lead"]
    revision = world.store.config().revision
    planned = tocsin("apply", "-f", str(file), "--dry-run", role="admin")
    said(planned, *created, f"1 object would change; revision {revision}.")
    done = tocsin("apply", "-f", str(file), role="admin")
    said(done, *created, f"1 object changed; revision {world.store.head()}.")
    file.write_text(TEAM.replace("ada", "grace"))
    changed = ["update  teams/spare", "        members[0].user: ada -> grace"]
    done = tocsin("apply", "-f", str(file), role="admin")
    said(done, *changed, f"1 object changed; revision {world.store.head()}.")
    assert {event.decision.cause.origin for event in world.store.tail(revision, 10)} == {"cli"}
    said(tocsin("apply", "-f", str(file), role="admin"), f"0 objects changed; revision {world.store.head()}.")


def test_a_mistake_is_told_in_whole_sentences(tocsin: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text("version: 1\nteams:\n  spare: {membrs: []}\n")
    refused = tocsin("apply", "-f", str(file), role="admin")
    assert refused.exit_code == 1
    assert (
        f"{file}:3:11: teams.spare.membrs: There is no key `membrs` here. Did you mean `members`?\n" in refused.stderr
    )


def test_apply_warns_of_a_route_that_no_alert_reaches(
    world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "routes.yaml"
    ways = "".join(f"    - {{matchers: ['env=\"{env}\"']}}\n" for env in ("prod", "dev", "prod"))
    file.write_text(f"version: 1\nroute:\n  team: platform\n  policy: two-steps\n  routes:\n{ways}")
    done = tocsin("apply", "-f", str(file), role="admin")
    assert done.exit_code == 0, done.output
    [warning] = done.stderr.splitlines()
    assert warning.startswith(f"warning: {file}:8:7: route.routes[2]: ")
    assert warning.endswith("say `continue: true` in line 6.")


def test_apply_asks_at_a_terminal_only(
    world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text(TEAM)
    monkeypatch.setattr(configuring, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    refused = tocsin("apply", "-f", str(file), role="admin", text="n\n")
    assert refused.exit_code == 1 and "Change 1 object?" in refused.output
    assert "spare" not in world.store.config().teams
    assert tocsin("apply", "-f", str(file), role="admin", text="y\n").exit_code == 0
    assert "spare" in world.store.config().teams


def test_what_moved_between_the_question_and_the_answer_is_not_overwritten(
    world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text(TEAM)
    asked = 0

    def busy(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked == 2:
            world.request("PUT", "/api/v1/config/teams/other", KEYS["admin"], json={})
        return handled(world, request)

    result = tocsin("apply", "-f", str(file), role="admin", answer=busy)
    assert result.exit_code == 1
    assert "is at revision" in result.stderr and "Read it again" in result.stderr
    assert "spare" not in world.store.config().teams


def test_what_is_exported_applies_back_to_no_change(
    world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path
) -> None:
    revision = world.store.config().revision
    target = tmp_path / "config" / "tocsin.yaml"
    said(tocsin("export", "-o", str(target.parent), role="admin"), f"Written to {target}.")
    assert target.stat().st_mode & 0o777 == 0o600
    text = target.read_text(encoding="utf-8")
    assert tocsin("export", role="admin").output == text
    assert parse_config(text, "x") == objects_of(world.store.config())
    nothing = f"0 objects changed; revision {revision}."
    said(tocsin("apply", "-f", str(target.parent), "--prune", role="admin"), nothing)
    (target.parent / "other.yaml").write_text("version: 1\n")
    assert "other.yaml" in tocsin("export", "-o", str(target.parent), role="admin").stderr


@pytest.fixture
def directly(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `tocsin apply --direct` with these arguments on the world's store."""
    monkeypatch.setattr(direct, "placed", lambda _: world.parts.settings)
    monkeypatch.setattr(direct, "open_store", lambda _: world.store)
    monkeypatch.setattr(direct, "clock_from", lambda _: world.now)
    monkeypatch.setattr(type(world.store), "close", lambda _: None, raising=False)

    def run(*arguments: str, text: str = "") -> Result:
        with capture_logs():
            return CliRunner().invoke(main, ["apply", "--direct", *arguments], input=text)

    return run


def test_directly_it_is_shown_asked_and_done_as_through_a_gateway(
    world: GatewayWorld, tocsin: Callable[..., Result], directly: Callable[..., Result], tmp_path: Path
) -> None:
    tocsin("export", "-o", str(tmp_path), role="admin")
    (tmp_path / "teams.yaml").write_text(TEAM)
    planned = tocsin("apply", "-f", str(tmp_path), "--dry-run", role="admin")
    assert planned.output == directly("-f", str(tmp_path), "--dry-run").output
    done = directly("-f", str(tmp_path))
    created = ["create  teams/spare", "        members[0].user: ada", "        members[0].role: lead"]
    said(done, *created, f"1 object changed; revision {world.store.head()}.")
    cause = world.store.tail(world.store.head() - 1, 1)[0].decision.cause
    assert (cause.actor.kind, cause.actor.id, cause.origin) == ("system", "cli", "cli")
    (tmp_path / "teams.yaml").unlink()
    pruned = directly("-f", str(tmp_path), "--prune")
    said(pruned, "remove  teams/spare", f"1 object changed; revision {world.store.head()}.")


def test_what_cannot_be_applied_directly_is_said_with_its_place(
    world: GatewayWorld, directly: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text(TEAM.replace("ada", "nobody"))
    refused = directly("-f", str(file))
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"{file}:3:")
    assert refused.stderr.endswith("Error: The configuration has 1 error; nothing was changed.\n")
    file.write_text(TEAM)
    refused = directly("-f", str(file), "--prune")
    assert refused.exit_code == 1 and "Error: " in refused.stderr


def test_the_first_key_comes_in_directly(tmp_path: Path, store_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_POSTGRES_DSN", store_dsn)
    file = tmp_path / "keys.yaml"
    file.write_text(f"version: 1\napi_keys:\n  first: {{role: admin, hash: 'sha256:{'a' * 64}'}}\n")
    done = CliRunner().invoke(main, ["apply", "--direct", "-f", str(file), "--data-dir", str(tmp_path / "data")])
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "create  api_keys/first"), done.stderr
    assert done.output.splitlines()[-1] == "1 object changed; revision 1."
    again = CliRunner().invoke(main, ["apply", "--direct", "-f", str(file), "--data-dir", str(tmp_path / "data")])
    said(again, "0 objects changed; revision 1.")


def test_pruning_removes_and_says_so(world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path) -> None:
    tocsin("export", "-o", str(tmp_path), role="admin")
    world.request("PUT", "/api/v1/config/teams/spare", KEYS["admin"], json={})
    pruned = tocsin("apply", "-f", str(tmp_path), "--prune", role="admin")
    said(pruned, "remove  teams/spare", f"1 object changed; revision {world.store.head()}.")


def test_what_stands_in_directories_below_is_not_read_and_nothing_is_pruned_then(
    world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path
) -> None:
    config, below = tmp_path / "config", tmp_path / "config" / "sub"
    tocsin("export", "-o", str(config), role="admin")
    for place in (below, config / ".hidden"):
        place.mkdir()
        (place / "teams.yaml").write_text(TEAM)
    nothing = f"0 objects changed; revision {world.store.head()}."
    warned = tocsin("apply", "-f", str(config), role="admin")
    assert (warned.exit_code, warned.stdout) == (0, f"{nothing}\n")
    (warning,) = warned.stderr.splitlines()
    assert warning.startswith(f"warning: {below}:1:1: The directory is not read")
    assert f"`tocsin apply -f {config} -f {below}`" in warning
    for more in ((), ("--dry-run",)):
        refused = tocsin("apply", "-f", str(config), "--prune", *more, role="admin")
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert f"Error: Pruning would remove what stands in {below}, which is not read." in refused.stderr
        assert f"-f {config} -f {below}" in refused.stderr
    done = tocsin("apply", "-f", str(config), "-f", str(below), "--prune", role="admin")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("create  teams/spare")


def test_an_inhibition_rule_that_inhibits_nothing_is_warned_of(
    world: GatewayWorld, tocsin: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "rules.yaml"
    sides = "source_matchers: ['a=b'], target_matchers: ['a=b']"
    file.write_text(f"version: 1\ninhibition_rules:\n  same: {{{sides}}}\n")
    done = tocsin("apply", "-f", str(file), role="admin")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith(f"warning: {file}:3:3: inhibition_rules.same: The rule `same` inhibits nothing")


def test_the_history_of_the_configuration(world: GatewayWorld, tocsin: Callable[..., Result]) -> None:
    for team in ({"members": [{"user": "ada", "role": "x"}]}, {}):
        world.request("PUT", "/api/v1/config/teams/spare", KEYS["admin"], json=team)
    world.request("PUT", "/api/v1/config/users/ada", KEYS["admin"], json={"name": "Other"})
    expected = [
        "2026-03-02 03:00:00 UTC  update  teams/spare  root by api",
        "        members[0].user: ada -> (nothing)",
        "        members[0].role: x -> (nothing)",
        "2026-03-02 03:00:00 UTC  create  teams/spare  root by api",
        "        members[0].user: ada",
        "        members[0].role: x",
    ]
    said(tocsin("config", "history", "teams/spare", role="admin"), *expected)
    newest = tocsin("config", "history", "--limit", "1", role="admin")
    said(newest, "2026-03-02 03:00:00 UTC  update  users/ada  root by api", "        personal data")
    assert "create  route  root by" in tocsin("config", "history", "route", role="admin").output
    assert tocsin("config", "history", "teams", role="admin").exit_code == 2
    assert tocsin("config", "history", role="viewer").exit_code == 1


def test_every_option_of_a_command_for_people_says_what_it_does() -> None:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        for option in [*command.params, *(p for c in getattr(command, "commands", {}).values() for p in c.params)]:
            assert getattr(option, "help", "an argument"), f"{command.name} {option.name}"


def test_the_client_is_closed(world: GatewayWorld) -> None:
    with Client(Access("http://gateway.test", "k"), httpx.MockTransport(lambda r: handled(world, r))) as gateway:
        assert gateway.ready().status_code in (200, 503)
