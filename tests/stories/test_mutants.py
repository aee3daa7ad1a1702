"""Seeded mistakes in the deciders: each must make a story or a property fail.

Each mistake is one replaced line in a copy of the tree; the stories in memory are run there. A mistake that survives
means that nothing here would notice somebody making it.
"""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("domain", "schemas", "streams", "compose", "projections", "gateway", "tests")
STORIES = (
    "tests/stories/test_first_thread.py",
    "tests/stories/test_pager.py",
    "tests/stories/test_inhibition.py",
    "tests/stories/test_routes_say.py",
    "tests/stories/test_single_alerts.py",
    "tests/stories/test_correlation.py",
    "tests/stories/test_merging.py",
    "tests/stories/test_news.py",
    "tests/stories/test_any_history.py",
)
"""The quick ones first: a run ends with the first that fails."""

MUTANTS = {
    "a late report counts as the latest": (
        "domain/alerts.py",
        "    return (source_time, receipt.received_at, receipt.id) > (row.source_time, row.received_at, row.receipt)",
        "    return True",
    ),
    "an incident ends with its first alert": (
        "domain/stepping.py",
        "    if by_alerts and not any(group.firing_in(episode) for group, episode in alerts):",
        "    if by_alerts:",
    ),
    "a repeat reopens what a person resolved": (
        "domain/folding.py",
        "    if row and row.status is AlertStatus.FIRING:",
        "    if row and row.status is AlertStatus.FIRING and not fires:",
    ),
    "a new alert joins a resolved incident": (
        "domain/episodes.py",
        "        if state.is_open and (group.is_open or len(state.groups) > 1):",
        "        if group.is_open:",
    ),
    "group_wait is forgotten": (
        "domain/folding.py",
        "    wait = 0.0 if flaps else routed.group_wait",
        "    wait = 0.0",
    ),
    "an acknowledgement leaves queued pages": (
        "domain/stepping.py",
        "        if not pending.claimed and book.read(pending.id, pages.Page).is_pending:",
        "        if False:",
    ),
    "an acknowledgement does not stop the escalation": (
        "domain/escalations.py",
        "    return () if escalation.stopped else (Stopped(reason, in_flight),)",
        "    return ()",
    ),
    "the last step is left out": (
        "domain/escalations.py",
        "escalation.step >= len(escalation.policy.steps)",
        "escalation.step + 1 >= len(escalation.policy.steps)",
    ),
    "a policy goes round once more": (
        "domain/escalations.py",
        "self.loop > self.policy.loops",
        "self.loop > self.policy.loops + 1",
    ),
    "a retry pages after the acknowledgement": (
        "domain/delivering.py",
        "if stopped := book.read(escalation, Escalation).stopped:",
        "if stopped := None:",
    ),
    "an unknown page is never sent again": (
        "domain/delivering.py",
        "return Settled(PageStatus.QUEUED, attempt.retry_at, possible_repeat=True)",
        "return Settled(PageStatus.UNKNOWN)",
    ),
    "an alert expires that was heard of": (
        "domain/expiry.py",
        "    silent = row.last_seen + timedelta",
        "    silent = row.first_seen + timedelta",
    ),
    "a silenced alert opens an incident": (
        "domain/folding.py",
        "place_in(book, stream, why is None,",
        "place_in(book, stream, True,",
    ),
    "a silence that begins stops nobody": (
        "domain/stepping.py",
        '        stop(book, incident, "suppressed")',
        "        pass",
    ),
    "what was suppressed is never announced": (
        "domain/stepping.py",
        "        _announce_again(book, incident, now)",
        "        pass",
    ),
    "a source that has ended still inhibits": (
        "domain/book.py",
        "            self.stirred[side.place] = now",
        "            pass",
    ),
    "an alert inhibits itself": (
        "domain/inhibition.py",
        "if name != alert and not (of.is_target and side.is_source)]",
        "]",
    ),
    "an alert flaps without a notice": (
        "domain/suppression.py",
        "    if not _is_flapping(routed, flips[:-2]) or not",
        "    if not",
    ),
    "one acknowledged alert takes the incident": (
        "domain/alert_commands.py",
        "    if decided and not _unanswered(book, incident):",
        "    if decided:",
    ),
    "a repeat fires what a person closed": (
        "domain/alerts.py",
        "return self.closed is not None and source_time <= self.closed",
        "return False",
    ),
    "a closed alert never fires again": (
        "domain/alerts.py",
        "return self.closed is not None and source_time <= self.closed",
        "return self.closed is not None",
    ),
    "an acknowledgement outlives the firing": (
        "domain/groups.py",
        "_without(group.acknowledged, alert)\n",
        "group.acknowledged\n",
    ),
    "what is merged pages on": (
        "domain/merging.py",
        '    stepping.stop(book, loser, "merged")',
        "    pass",
    ),
    "a merge that is undone gives nothing back": (
        "domain/merging.py",
        "    _move(book, back, winner, loser)",
        "    pass",
    ),
    "what is over is joined": (
        "domain/joining.py",
        'return incident if state.is_open and state.ack == "allowed" else None',
        "return incident",
    ),
    "what joins an incident makes it no worse": (
        "domain/joining.py",
        "    worse = stepping.make_worse(book, joins.incident, row.severity, row.id)",
        "    worse = False",
    ),
    "what is released into an incident that is over is lost": (
        "domain/reviewing.py",
        "    if incident and book.read(incident, incidents.Incident).is_open:",
        "    if incident:",
    ),
    "news of what somebody has acknowledged are kept from them": (
        "domain/stepping.py",
        "    if worse or (in_vain and (flaps or state.group_interval is not None)):",
        "    if in_vain and (flaps or state.group_interval is not None):",
    ),
    "the decision's time runs backwards": (
        "domain/book.py",
        "                at = max(at, loaded.last_at)",
        "                at = at",
    ),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code to make mistakes in."""
    copy = tmp_path_factory.mktemp("mutants")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.mark.timeout(1800)
def test_every_mistake_is_noticed(tree: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        survived = [
            name for name, dies in zip(MUTANTS, pool.map(lambda n: dead(tree, n), MUTANTS), strict=True) if not dies
        ]
    assert survived == []


@pytest.mark.timeout(600)
def test_the_stories_pass_without_a_mistake(tree: Path) -> None:
    assert run(tree) == 0


def dead(tree: Path, name: str) -> bool:
    """Whether the stories fail with this mistake made."""
    file, right, wrong = MUTANTS[name]
    copy = tree.parent / f"{tree.name}-{list(MUTANTS).index(name)}"
    shutil.copytree(tree, copy)
    source = (copy / file).read_text(encoding="utf-8")
    assert source.count(right) == 1, f"{name}: the line to change is not in {file} any more"
    (copy / file).write_text(source.replace(right, wrong), encoding="utf-8")
    code = run(copy)
    assert code in (0, 1), f"{name}: pytest ended with {code}"
    return code == 1


def run(tree: Path) -> int:
    """The exit code of the stories in memory, in this tree: 0 passed, 1 failed."""
    options = ["-q", "-x", "-k", "not real", "-p", "no:cacheprovider", "--hypothesis-profile=mutant"]
    command = [sys.executable, "-m", "pytest", *options, *STORIES]
    return subprocess.run(command, cwd=tree, capture_output=True, timeout=600, check=False).returncode
