"""A log in which nearly everything happens, for those who audit it."""

from dataclasses import replace
from datetime import datetime

import orjson

from domain import commands, ids, incidents
from domain.decision import Actor, Cause, Decision
from domain.erasing import PayloadErased, erasure_stream
from domain.merging import Attach, Detach, Merge, Split, Unmerge
from domain.severity import Severity
from schemas.config_files import parse_config
from schemas.events import encode
from streams.channels.base import Rejected, Retry, Uncertain
from streams.configuring import apply
from streams.fold import Unreadable
from streams.store.base import Save, TrackingMove
from streams.store.deciding import open_book
from streams.store.ledger import Line, Payload
from tests.auditing import KeepingStore, MemoryLedger, rehashed
from tests.memory_world import MemoryWorld
from tests.world import CONFIG, alert, webhook

PAY_A = {"service": "payments", "instance": "a"}
FLAPS = """
    - {matchers: ['alertname="Flap"'], flap_threshold: 2}
"""
LOUD = """
inhibition_rules:
  loud: {source_matchers: [alertname="Loud"], target_matchers: [alertname="Slow"], equal: [service]}
correlation_rules:
  leads: {within: 5m, matchers: [alertname=Follows], incident_matchers: [alertname=Leads], over: same, same: [service]}
"""


def keeping(config: str = CONFIG) -> tuple[MemoryWorld, KeepingStore]:
    store = KeepingStore()
    world = MemoryWorld(store, config)
    store.wall = world.now
    return world, store


def eventful() -> MemoryLedger:
    """A log in which nearly everything happens."""
    world, store = keeping(CONFIG.replace("  routes:\n", "  routes:" + FLAPS) + LOUD)
    world.fire("ServiceDown", service="payments")
    world.advance(minutes=6)
    world.ack("INC-1")
    world.advance(minutes=1)
    world.command("unack", "INC-1")
    world.fire("NobodyHome", service="unknown")
    world.fire("Disk", service="payments", severity="warning", instance="a")
    world.fire("Disk", service="payments", severity="critical", instance="b")
    worse(world)
    world.advance(minutes=1)
    world.end("Disk", service="payments", severity="warning", instance="a")
    world.end("Disk", service="payments", severity="critical", instance="b")
    world.fire("Disk", service="payments", severity="critical", instance="b")
    world.advance(minutes=50)
    for verb in ("ack", "resolve", "reopen", "start"):
        world.command(verb, "INC-1")
    world.fire("SlowQueries", service="payments", patience="yes")
    world.jump(minutes=20)
    belongings(world)
    single_alerts(world)
    correlated(world)
    troubled_pages(world)
    people(world)
    suppressed(world)
    world.jump(hours=9)
    world.fold.lose(TrackingMove("default", "alerts", 0, world.offset, world.offset + 3))
    world.offset += 3
    world.fold.save([Unreadable("default/alerts/0@99", "alertmanager", b"{", "it is no record")])
    cause = Cause(Actor("user", "root"), "cli", "command/prune", "prune", "prune")
    left = parse_config(
        CONFIG.replace("  edsger: {name: Edsger Example, email: edsger@example.test}\n", "").replace(
            "{user: edsger, role", "{user: ada, role"
        ),
        "world.yaml",
    )
    apply(store, "default", left, cause, world.now(), b"salt", prune=True)
    return MemoryLedger.of(store)


def worse(world: MemoryWorld) -> None:
    """An alert that fires already is reported again, as more severe."""
    for severity in ("warning", "critical"):
        member = alert("Heat", {"service": "payments", "severity": severity}, world.now())
        world.post(webhook([{**member, "fingerprint": "00000000000beef0"}]))
        world.advance(minutes=2)


def belongings(world: MemoryWorld) -> None:
    """Incidents are merged, taken apart again, split, attached to and detached from."""
    for name in ("Left", "Right", "Over"):
        for instance in "ab":
            world.fire(name, service="payments", instance=instance)
    *_, left, right, over = world._streams()
    single, other = (
        ids.alert_id("default", "alertmanager", alert(name, PAY_A, world.now())["fingerprint"])
        for name in ("Left", "Right")
    )
    group = world.store.alerts([single])[single].group or ""
    world.silence(10, alertname="Left", instance="a")
    for incident_, command in (
        (right, Merge(world._streams()[left])),
        (right, Unmerge()),
        (left, Split((single,))),
        (right, Merge(world._streams()[left])),
        (over, Attach(group)),
        (over, Detach(group)),
        (over, Attach(alerts=(other,))),
    ):
        world.order(command, incident_, "grace")
        world.settle()


def single_alerts(world: MemoryWorld) -> None:
    """What people say of alerts, with and without consequences for the incident."""
    for instance in "ab":
        world.fire("Fan", service="payments", instance=instance)
    world.command_alert("ack", "Fan", service="payments", instance="a")
    world.command_alert("unack", "Fan", service="payments", instance="a")
    for instance in "ab":
        world.command_alert("ack", "Fan", service="payments", instance=instance)
    world.command("unack", incident(world))
    world.command_alert("ack", "Fan", service="payments", instance="a")
    world.command_alert("unack", "Fan", service="payments", instance="b")
    for instance in "ab":
        world.command_alert("resolve", "Fan", service="payments", instance=instance)
        world.fire("Fan", service="payments", instance=instance)


def correlated(world: MemoryWorld) -> None:
    """An alert joins the incident of another; a third that was silenced does so later."""
    world.fire("Leads", service="catalogue")
    world.silence(2, instance="later")
    for instance in ("now", "later"):
        world.fire("Follows", service="catalogue", instance=instance, severity="warning")
    world.fire("Follows", service="catalogue", severity="critical")
    world.advance(minutes=3)
    world.end("Follows", service="catalogue", severity="critical")
    for instance in ("now", "later"):
        world.end("Follows", service="catalogue", instance=instance, severity="warning")


def troubled_pages(world: MemoryWorld) -> None:
    """Pages that fail, that may or may not arrive, and that are cancelled, queued or in flight."""
    world.channel.script(Rejected("rcpt: 550"))
    world.fire("Refused", service="payments")
    world.channel.script(Uncertain("timeout"), arrives=True)
    world.fire("Doubtful", service="payments")
    world.advance(minutes=2)
    world.channel.script(Retry("busy"))
    world.fire("Busy", service="payments")
    world.command_only("ack", incident(world), "grace")
    world.receive_only("Flying")
    world.pager.step()
    flying = world.pager.claim(100)
    world.command_only("ack", incident(world), "grace")
    world.channel.script(*[Retry("busy")] * 9)
    world.deliver(flying)
    world.channel._script.clear()


def people(world: MemoryWorld) -> None:
    """What people ask for besides acknowledging."""
    stream = world._streams()["INC-1"]
    for command in (
        incidents.Assign(("ada", "grace")),
        commands.Note(commands.Words("the disk was full", b"pepper")),
        incidents.SetSeverity(Severity.LOW),
    ):
        execute(world, stream, command)
    words = commands.Words("the lift is stuck", b"pepper")
    execute(world, ids.incident_stream("default", "by hand", 1), commands.Create(words, service="catalogue"))


def suppressed(world: MemoryWorld) -> None:
    """Alerts that are silenced and inhibited, before and after they were spoken of."""
    silence = world.silence(minutes=30, service="catalogue")
    world.fire("Quiet", service="catalogue")
    world.end_silence(silence)
    world.silence(minutes=5, alertname="Quiet")
    world.fire("Loud", service="catalogue")
    world.fire("Slow", service="catalogue", severity="warning")
    for _ in range(2):
        world.fire("Flap", service="payments")
        world.end("Flap", service="payments")
    world.advance(minutes=6)


def execute(world: MemoryWorld, stream: str, command: commands.PersonCommand) -> None:
    book = open_book(world.store, "default", [stream])
    book.numbers = iter(world.store.next_numbers(1))
    cause = Cause(Actor("user", "ada"), "api", f"command/{type(command).__name__}", "q", "q")
    commands.execute(book, stream, command, cause, world.now())
    world.store.save(Save(book))


def incident(world: MemoryWorld) -> str:
    """The latest."""
    return list(world._streams())[-1]


def erased(ledger: MemoryLedger, refs: tuple[str, ...], said: bool) -> MemoryLedger:
    kept = {ref: Payload(None, None) if ref in refs else payload for ref, payload in ledger.kept.items()}
    if not said:
        return replace(ledger, kept=kept)
    stream = erasure_stream("default", "q-1")
    cause = Cause(Actor("system", "cli"), "cli", "command/q-1", "q-1", "q-1")
    last = orjson.loads(ledger.rows[-1].state)["decision"]
    revision = max(line.position for line in ledger.rows if line.stream.startswith("config-"))
    decision = Decision(datetime.fromisoformat(last["decided_at"]), cause, revision, 1, last["tz_version"])
    state = encode(PayloadErased(refs, "R-1"), decision, b"")
    row = Line(len(ledger.rows) + 1, stream, 1, PayloadErased.type, state, b"")
    return MemoryLedger(rehashed([*ledger.rows, row]), kept)
