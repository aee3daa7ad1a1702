"""Every kind of mistake in a configuration file is refused in its place, with a remedy, and alone."""

import pytest

from tests.unit.test_config_files import GOOD, HASH, errors

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
