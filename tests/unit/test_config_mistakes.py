"""Every kind of mistake in a configuration file is refused in its place, with a remedy, and alone."""

import pytest

from tests.unit.test_config_files import GOOD, HASH, errors

AFTER = "escalation_policies.calm.steps[0].escalate_after"
TARGET = "escalation_policies.calm.steps[0].targets[0]"
LOOPS = "escalation_policies.calm.loops"
ROUTE = "route.routes[0]."
MATCHER = ROUTE + "matchers[0]"
PAYMENTS = "services.payments."
SERVICE = GOOD.replace("{", "{{").replace("}", "}}").replace("policy: calm}}", "policy: calm, {}}}")
SPAN = "time_intervals.n[0]."
NIGHTS = GOOD.replace("route:", "time_intervals: {nights: [{years: ['2026']}]}\nroute:")
RULE = "inhibition_rules: {{r: {{source_matchers: {}, target_matchers: {}, equal: {}}}}}"
JOIN = "correlation_rules: {{r: {{{}}}}}"
ABOUT = "services: [payments], "
UTC = "start: '2026-12-01T02:00:00Z', "
TWO_HOURS = ABOUT + UTC + "duration: 2h, "
WINDOW = "maintenance_windows.w"
BEAT = "heartbeats.h"
BERLIN = ABOUT + "location: Europe/Berlin, duration: 2h, "


def window(said: str) -> str:
    """A good configuration with a maintenance window in line 13."""
    return f"{GOOD}maintenance_windows: {{w: {{{said}}}}}\n"


def heartbeat(said: str) -> str:
    """A good configuration with a heartbeat in line 13."""
    return f"{GOOD}heartbeats: {{h: {{{said}}}}}\n"


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
    # services
    (SERVICE.format("tier: 0"), 7, 50, PAYMENTS + "tier", "`0` is too small", "1 or more"),
    (SERVICE.format("tier: gold"), 7, 50, PAYMENTS + "tier", "`gold` is not a whole number", "digits"),
    (SERVICE.format("environment: Prod"), 7, 57, PAYMENTS + "environment", "`Prod` is not a name", "a-z 0-9"),
    (SERVICE.format("description: ''"), 7, 57, PAYMENTS + "description", "The text is empty", "Write one"),
    (SERVICE.format('description: "a\\nb"'), 7, 57, PAYMENTS + "description", "a control character", "in one line"),
    (SERVICE.format("dependencies: [db]"), 7, 59, PAYMENTS + "dependencies[0]", "no service `db`", "Define a service"),
    (SERVICE.format("links: {logs: 'ftp://x'}"), 7, 58, PAYMENTS + "links.logs", "is not a web address", "https://"),
    (SERVICE.format("links: {A b: 'https://x'}"), 7, 52, PAYMENTS + "links.A b", "`A b` is not a name", "a-z 0-9"),
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
        9, 29, TARGET, "A target is a user, a team and a role, or a team alone", "{user: ada}",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{user: ada, role: primary}]"),
        9, 29, TARGET, "A target is a user, a team and a role, or a team alone", "{team: platform}",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{role: primary}]"),
        9, 29, TARGET, "A target is a user, a team and a role, or a team alone", "role: primary",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{team: platform}]"),
        9, 29, TARGET, "is the team's channel, and team `platform` has no `email`", "Give the team an `email`",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{team: platform}]").replace("platform: {m", "platform: {email: , m"),
        9, 29, TARGET, "is the team's channel, and team `platform` has no `email`", "{team: platform, role: primary}",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{team: platfrom}]"),
        9, 36, TARGET + ".team", "There is no team `platfrom`", "Did you mean `platform`?",
    ),
    (
        GOOD.replace("[{user: ada}]", "[{team: platform}]").replace("platform: {m", "platform: {email: all, m"),
        5, 21, "teams.platform.email", "`all` is not a mail address", "name@example.test",
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
    (GOOD + '  group_by: ["a\\tb"]\n', 13, 14, "route.group_by[0]", "The value is not a label name", "1 to 128"),
    (GOOD + "  group_by: ['...', a]\n", 13, 13, "route.group_by", "`...` groups by every label", "Remove `...`"),
    (GOOD + "  group_by: [a, b, a]\n", 13, 13, "route.group_by", "`a` is listed twice", "Remove one of the two"),
    (GOOD + "  group_by: ['@taem']\n", 13, 14, "route.group_by[0]", "no fact `@taem`", "Did you mean `@team`?"),
    (
        GOOD + "  group_by: ['@annotation.summary']\n",
        13, 14, "route.group_by[0]", "Annotations may hold personal data", "Group by labels",
    ),
    (GOOD + "  group_by: alertname\n", 13, 13, "route.group_by", "`alertname` stands where a list", "[one, two]"),
    (GOOD + "  group_wait: 10\n", 13, 15, "route.group_wait", "10 is a number without a unit", "Write 10s"),
    (GOOD + "  group_interval: 0s\n", 13, 19, "route.group_interval", "at least a second", "1s or more"),
    (GOOD + "  repeat_interval: 4\n", 13, 20, "route.repeat_interval", "4 is a number without a unit", "Write 4s"),
    (GOOD + "  continue: true\n", 11, 3, "route", "no siblings, so `continue` means nothing", "move it to a child"),
    (GOOD + "  routes: [{continue: yes}]\n", 13, 23, ROUTE + "continue", "neither true nor false", "without quotes"),
    (GOOD + "  routes: [{continues: true}]\n", 13, 13, ROUTE + "continues", "no key `continues`", "`continue`?"),
    (GOOD + "  severity: hihg\n", 13, 13, "route.severity", "`hihg` is not known here", "'critical', 'high'"),
    (GOOD + "  ack: no\n", 13, 8, "route.ack", "`no` is not known here", "'allowed' or 'refused'"),
    (GOOD + "  runbook: http://x.test\n", 13, 12, "route.runbook", "is not an https address", "https://host/path"),
    (GOOD + "  runbook: https://a:b@x.test\n", 13, 12, "route.runbook", "is not an https address", "user or password"),
    (GOOD + "  suppress_for: -5m\n", 13, 17, "route.suppress_for", "`-5m` is not usable", "30s, 5m"),
    (GOOD + "  reopen_within: soon\n", 13, 18, "route.reopen_within", "`soon` is not usable", "30s, 5m"),
    (GOOD + "  flap_threshold: -1\n", 13, 19, "route.flap_threshold", "`-1` is too small", "0 or more"),
    (GOOD + "  flap_window: 0s\n", 13, 16, "route.flap_window", "at least a second", "1s or more"),
    (GOOD + "  flap_quiet: []\n", 13, 15, "route.flap_quiet", "A duration is wanted", "30s"),
    (GOOD + "  routes: [{matchers: [x]}]\n", 13, 24, MATCHER, "`x` is not a matcher", "= != =~ !~"),
    (
        GOOD + "  routes: [{matchers: ['a=~\"(\"']}]\n",
        13, 24, MATCHER, "The regular expression does not compile: missing )", "Correct",
    ),
    (GOOD + "  routes: [{matchers: [5]}]\n", 13, 24, MATCHER, "A matcher is a text", "single quotes"),
    (
        GOOD + "  routes: [{routes: [{mathcers: []}]}]\n",
        13, 23, "route.routes[0].routes[0].mathcers", "There is no key `mathcers` here", "Did you mean `matchers`?",
    ),
    # time intervals
    (
        NIGHTS + "  routes: [{mute_time_intervals: [nihgts]}]\n",
        14, 35, ROUTE + "mute_time_intervals[0]", "There is no time interval `nihgts`", "Did you mean `nights`?",
    ),
    (NIGHTS + "  active_time_intervals: [nights]\n", 12, 3, "route", "speaks at all times", "to a child"),
    ("time_intervals: {n: []}", 2, 21, "time_intervals.n", "The list is empty", "at least 1"),
    ("time_intervals: {n: {years: [2026]}}", 2, 21, "time_intervals.n", "A mapping stands where a list", "[one, two]"),
    ("time_intervals: {n: [{weekdays: [mnday]}]}", 2, 34, SPAN + "weekdays[0]", "`mnday` is not a weekday", "monday"),
    ("time_intervals: {n: [{location: Europe/Berln}]}", 2, 33, SPAN + "location", "Europe/Berln", "`Europe/Berlin`?"),
    # inhibition
    (RULE.format("[]", "[b=c]", "[]"), 2, 41, "inhibition_rules.r.source_matchers", "The list is empty", "at least 1"),
    (RULE.format("[a=b]", "[x]", "[]"), 2, 66, "inhibition_rules.r.target_matchers[0]", "`x` is not a", "!~"),
    (RULE.format("[a=b]", "[b=c]", "[a, a]"), 2, 79, "inhibition_rules.r.equal", "`a` is listed twice", "Remove one"),
    (RULE.replace("equal", "eqal").format("[a=b]", "[b=c]", 1), 2, 72, "inhibition_rules.r.eqal", "no key", "`equal`"),
    # correlation
    (JOIN.format("depth: 1"), 2, 21, "correlation_rules.r.within", "`within` is missing", "Add a line `within:`"),
    (JOIN.format("within: 2d"), 2, 33, "correlation_rules.r.within", "longer than a day", "1d or less"),
    (JOIN.format("within: 0s"), 2, 33, "correlation_rules.r.within", "at least a second", "1s or more"),
    (JOIN.format("within: 1m, over: same"), 2, 24, "correlation_rules.r", "what is the same", "same: ['@environment'"),
    (JOIN.format("within: 1m, over: both"), 2, 43, "correlation_rules.r.over", "`both` is not known", "'same'"),
    (
        JOIN.format("within: 1m, over: same, same: [a], depth: 2"),
        2, 24, "correlation_rules.r", "`direction` and `depth` lead through dependencies", "over: dependency",
    ),
    (JOIN.format("within: 1m, depth: 6"), 2, 44, "correlation_rules.r.depth", "`6` is too large", "5 or less"),
    (JOIN.format("within: 1m, direction: up"), 2, 48, "correlation_rules.r.direction", "`up` is not", "'upstream'"),
    (JOIN.format("within: 1m, same: [a, a]"), 2, 43, "correlation_rules.r.same", "listed twice", "Remove one"),
    (JOIN.format("within: 1m, same: ['@annotation.x']"), 2, 44, "correlation_rules.r.same[0]", "Annotations", "facts"),
    (JOIN.format("within: 1m, matchers: [x]"), 2, 48, "correlation_rules.r.matchers[0]", "`x` is not a", "!~"),
    # maintenance windows
    (
        window("services: [paymnts], " + UTC + "duration: 2h"),
        13, 38, WINDOW + ".services[0]", "no service `paymnts`", "`payments`?",
    ),
    (
        window("teams: [platfrom], " + UTC + "duration: 2h"),
        13, 35, WINDOW + ".teams[0]", "no team `platfrom`", "`platform`?",
    ),
    (
        window("environments: [''], " + UTC + "duration: 2h"),
        13, 42, WINDOW + ".environments[0]", "The text is empty", "Write one",
    ),
    (
        window(f"environments: [{'x' * 201}], {UTC}duration: 2h"),
        13, 42, WINDOW + ".environments[0]", "An entry of `environments` is too long", "at most 200",
    ),
    (window("matchers: [x], " + UTC + "duration: 2h"), 13, 38, WINDOW + ".matchers[0]", "`x` is not a matcher", "!~"),
    (window(UTC + "duration: 2h"), 13, 26, WINDOW, "does not say what it is about", "Add services, teams"),
    (window(ABOUT + "duration: 2h"), 13, 23, WINDOW + ".start", "`start` is missing", "Add a line `start:`"),
    (
        window(ABOUT + "start: tomorrow, duration: 2h"),
        13, 56, WINDOW + ".start", "`tomorrow` is not a time", "2026-12-01T02:00:00Z",
    ),
    (
        window(ABOUT + "start: 2026-12-01, duration: 2h"),
        13, 56, WINDOW + ".start", "`2026-12-01` is not a time", "and a `location`",
    ),
    (
        window(ABOUT + "start: 2026-12-01T02:00, duration: 2h"),
        13, 56, WINDOW + ".start", "has no offset", "add `location:`",
    ),
    (
        window(BERLIN + "start: 2026-03-29T02:30"),
        13, 95, WINDOW + ".start", "never show 2026-03-29T02:30", "before or after",
    ),
    (
        window(BERLIN + "start: 2026-10-25T02:30"),
        13, 95, WINDOW + ".start", "show 2026-10-25T02:30 twice", "+02:00 or +01:00",
    ),
    (window(ABOUT + UTC), 13, 26, WINDOW, "either a `duration` or an `end`", "Write one of them"),
    (
        window(TWO_HOURS + "end: '2026-12-01T04:00:00Z'"),
        13, 26, WINDOW, "either a `duration` or an `end`", "Write one of",
    ),
    (
        window(ABOUT + UTC + "end: '2026-12-01T01:00:00Z'"),
        13, 85, WINDOW + ".end", "ends before it begins", "after `start`",
    ),
    (
        window(ABOUT + UTC + "end: '2028-12-01T01:00:00Z'"),
        13, 85, WINDOW + ".end", "longer than a year", "an earlier `end`",
    ),
    (window(ABOUT + UTC + "duration: 2x"), 13, 90, WINDOW + ".duration", "`2x` is not usable", "1h30m"),
    (window(ABOUT + UTC + "duration: 0s"), 13, 90, WINDOW + ".duration", "at least a second", "1s or more"),
    (
        window(ABOUT + UTC + "duration: 32d, rrule: FREQ=YEARLY"),
        13, 26, WINDOW, "recurs lasts 31 days at most", "Shorten it",
    ),
    (
        window(TWO_HOURS + "location: Europe/Berln"),
        13, 104, WINDOW + ".location", "no time zone `Europe/Berln`", "`Europe/Berlin`?",
    ),
    (
        window(TWO_HOURS + "rrule: FREQ=HOURLY"),
        13, 101, WINDOW + ".rrule", "FREQ=HOURLY recurs too often", "BYHOUR=2,14",
    ),
    (
        window(TWO_HOURS + "rrule: every tuesday"),
        13, 101, WINDOW + ".rrule", "is not a part of a rule", "FREQ=WEEKLY;BYDAY=SU",
    ),
    (
        window(TWO_HOURS + "rrule: FREQ=WEEKLY;BYDAY=MONDAY"),
        13, 101, WINDOW + ".rrule", "`BYDAY=MONDAY` is not a day", "MO, TU",
    ),
    (
        window(TWO_HOURS + "rrule: FREQ=WEEKLY;BYDAY=MO"),
        13, 101, WINDOW + ".rrule", "not recur at the window's start", "first time",
    ),
    (
        window(TWO_HOURS + "rrule: FREQ=DAILY;UNTIL=20260101T000000Z"),
        13, 101, WINDOW + ".rrule", "UNTIL is before the window's start", "a later UNTIL",
    ),
    (
        window(TWO_HOURS + "rule: FREQ=DAILY"),
        13, 94, WINDOW + ".rule", "There is no key `rule` here", "Did you mean `rrule`?",
    ),
    # heartbeats
    (heartbeat(""), 13, 14, BEAT + ".interval", "`interval` is missing", "Add a line `interval:`"),
    (heartbeat("interval: never"), 13, 28, BEAT + ".interval", "`never` is not usable", "30s, 5m or 1h30m"),
    (heartbeat("interval: 5"), 13, 28, BEAT + ".interval", "5 is a number without a unit", "5s for seconds"),
    (heartbeat("interval: 0s"), 13, 28, BEAT + ".interval", "at least a second", "1s or more"),
    (heartbeat("interval: 32d"), 13, 28, BEAT + ".interval", "longer than 31 days", "31d or less"),
    (heartbeat("interval: 5m, grace: 32d"), 13, 39, BEAT + ".grace", "longer than 31 days", "31d or less"),
    (heartbeat("interval: 5m, service: paymnts"), 13, 41, BEAT + ".service", "no service `paymnts`", "`payments`?"),
    (heartbeat("interval: 5m, team: platfrom"), 13, 38, BEAT + ".team", "no team `platfrom`", "`platform`?"),
    (
        heartbeat("interval: 5m, severity: hgih"),
        13, 42, BEAT + ".severity", "`hgih` is not known here", "'critical', 'high'",
    ),
    (
        heartbeat("interval: 5m, labels: {service: x}"),
        13, 40, BEAT + ".labels", "has a label `service` anyway", "Remove it",
    ),
    (heartbeat("interval: 5m, labels: {a: 5}"), 13, 44, BEAT + ".labels.a", "YAML reads `5` as a number", "in quotes"),
    (
        heartbeat("interval: 5m, token_hashes: [hunter2]"),
        13, 47, BEAT + ".token_hashes[0]", "is not sha256:", "`tocsin token`",
    ),
    (
        heartbeat("interval: 5m, token_hashes: [12345678]"),
        13, 47, BEAT + ".token_hashes[0]", "YAML reads this as a number", "double quotes",
    ),
    (
        f"{GOOD}integrations: {{am: {{source: generic, token_hashes: ['{HASH}']}}}}\n"
        f"heartbeats: {{h: {{interval: 5m, token_hashes: ['{HASH}']}}}}\n",
        14, 14, BEAT, "has the same hash as integration `am`", "one of its own",
    ),
    (heartbeat("interval: 5m, armed: soon"), 13, 39, BEAT + ".armed", "neither true nor false", "without quotes"),
    (heartbeat("interval: 5m, fed_by: {}"), 13, 32, BEAT + ".fed_by.matchers", "`matchers` is missing", "Add a line"),
    (
        heartbeat("interval: 5m, fed_by: {matchers: []}"),
        13, 51, BEAT + ".fed_by.matchers", "The list is empty", "at least 1",
    ),
    (
        heartbeat("interval: 5m, fed_by: {matchers: [x]}"),
        13, 52, BEAT + ".fed_by.matchers[0]", "`x` is not a matcher", "!~",
    ),
    (
        heartbeat("interval: 5m, fed_by: {matchers: ['alertname=~\".*\"']}"),
        13, 51, BEAT + ".fed_by.matchers", "Every matcher matches the empty string", "wants a label to be there",
    ),
    (
        heartbeat("interval: 5m, fed_by: {matchers: ['{}', 'a!=b']}"),
        13, 51, BEAT + ".fed_by.matchers", "so alerts without these labels feed it as well", "Add one",
    ),
    (heartbeat("interval: 5m, every: 5m"), 13, 32, BEAT + ".every", "There is no key `every` here", "Did you mean"),
    (
        GOOD + "integrations: {heartbeat: {source: generic}}\n",
        13, 15, "integrations", "what missed heartbeats are", "another",
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
