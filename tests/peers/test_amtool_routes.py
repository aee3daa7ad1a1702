"""An imported alertmanager.yml sends alerts where the real one does: `amtool config routes test` says where that is."""

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
            "routes": st.lists(below, max_size=3),
        },
    )


trees = st.lists(_routes(_routes(_routes(st.just({})))), min_size=3, max_size=6)
labels = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(NAMES, st.sampled_from(["prod", "critical"]) | values.filter(bool))
)


def _written(routes: list[dict[str, Any]]) -> str:
    document = {
        "route": {"receiver": "ops", "routes": routes},
        "receivers": [{"name": name} for name in RECEIVERS],
        "time_intervals": [{"name": "nights", "time_intervals": [{"times": [
            {"start_time": "00:00", "end_time": "06:00"}]}]}],
    }  # fmt: skip
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
@given(trees, st.lists(labels, min_size=5, max_size=5, unique_by=repr))
def test_every_alert_goes_to_the_same_receivers(
    tmp_path_factory: pytest.TempPathFactory, routes: list[dict[str, Any]], asked: list[dict[str, str]]
) -> None:
    file = tmp_path_factory.mktemp("routes") / "alertmanager.yml"
    file.write_text(_written(routes), encoding="utf-8")
    imported = read_alertmanager(file.read_text(encoding="utf-8"), str(file))
    receivers = {policy: name for name, policy in imported.names.items()}
    config = Config.of(1, parse_config(dump_config(imported.objects), "imported"))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda said: _theirs(file, said), asked))
    for said, theirs in zip(asked, answers, strict=True):
        assert [receivers[routing.policy] for routing in config.routes(said)] == theirs


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
