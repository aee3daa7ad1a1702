"""One sample of every event, as the golden files hold it. A new event needs one here and its golden file."""

from datetime import UTC, datetime, timedelta

from domain import answers, belonging, changes, config, erasing, escalations, groups, incidents, intake, pages
from domain.alerts import AlertStatus, PriorAlert, Repeat
from domain.decision import Actor, Cause, Decision, PayloadRef
from domain.events import Event
from domain.heartbeats import Heartbeat
from domain.inhibition import InhibitionRule
from domain.intervals import Interval, Range, Span, TimeRange
from domain.matching import Matcher, MatchOperator
from domain.routing import Route
from domain.severity import Severity
from domain.silences import Silence
from domain.suppression import Suppression
from domain.windows import Window

AT = datetime(2026, 3, 2, 3, 0, 0, 123456, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
GROUP = "group-5b2f0c9e-0000-5000-8000-000000000001"
INCIDENT = "incident-5b2f0c9e-0000-5000-8000-000000000002"
OTHER_GROUP = "group-5b2f0c9e-0000-5000-8000-000000000009"
OTHER_INCIDENT = "incident-5b2f0c9e-0000-5000-8000-00000000000a"
ESCALATION = "escalation-5b2f0c9e-0000-5000-8000-000000000003"
PAGE = "page-5b2f0c9e-0000-5000-8000-000000000004"
ALERT = "5b2f0c9e-0000-5000-8000-000000000005"
OTHER = "5b2f0c9e-0000-5000-8000-000000000007"
SILENCE = "5b2f0c9e-0000-5000-8000-000000000008"
DELIVERY = "5b2f0c9e-0000-5000-8000-000000000006"
PAYLOAD = PayloadRef("alert/r-1/0", "ab" * 32)
PRIOR = PriorAlert(3, AlertStatus.RESOLVED, Severity.HIGH, AT, AT, "r-0", GROUP, 1)
FIRING = PriorAlert(4, AlertStatus.FIRING, Severity.HIGH, AT, AT, "r-1", GROUP, 1)
LABELS = {"alertname": "ServiceDown", "service": "payments"}
CHANNEL = (config.ContactMethod("email", "platform@example.test"),)
POLICY = config.Policy("two-steps", (config.Step((config.Target(team="platform", role="primary"),), 300.0),), 2)
ROUTE = Route(
    team="platform",
    policy="two-steps",
    group_by=("alertname",),
    group_wait=0.0,
    routes=(Route((Matcher("severity", MatchOperator.MATCHES, "critical|page"),), service="payments"),),
)

DECISION = Decision(
    decided_at=AT,
    cause=Cause(Actor("integration", "alertmanager"), "webhook", "default/alerts/7@1042", "r-1#0", "r-1"),
    config_revision=12,
    rules_version=1,
    tz_version="2026.1",
    reads=((INCIDENT, 2),),
)

_FIRED = (ALERT, "alertmanager", "955bdf9692ad12ea", 1, INCIDENT, Severity.CRITICAL, LABELS, AT, AT, "r-1", PAYLOAD)
_ENDED = (ALERT, "alertmanager", "955bdf9692ad12ea", 1, INCIDENT)

SAMPLES: tuple[Event, ...] = (
    groups.AlertFired(*_FIRED, "cd" * 32, None),
    groups.AlertRefired(*_FIRED, "cd" * 32, PRIOR),
    groups.AlertResolved(*_ENDED, LATER, LATER, "r-2", PayloadRef("alert/r-2/0", "ab" * 32), "cd" * 32, FIRING),
    groups.AlertExpired(*_ENDED, LATER, 7, LATER + timedelta(hours=1), FIRING),
    groups.AlertSuppressed(*_ENDED, "inhibition", "worse", None, OTHER, GROUP, '{}:{alertname="x"}', PAYLOAD, FIRING),
    groups.AlertReleased(*_ENDED, "silence", SILENCE, PAYLOAD, FIRING),
    groups.AlertSeverityChanged(
        *_ENDED, Severity.LOW, LATER, LATER, "r-2", PayloadRef("alert/r-2/0", "ab" * 32), "cd" * 32, FIRING
    ),
    groups.AlertFlapping(*_ENDED, 5, 600.0),
    answers.AlertAcknowledged(*_ENDED, FIRING),
    answers.AlertUnacknowledged(*_ENDED, FIRING),
    answers.AlertClosed(*_ENDED, LATER, FIRING),
    belonging.AlertLeft(*_ENDED, OTHER_GROUP, FIRING),
    belonging.AlertJoined(*_ENDED, OTHER_GROUP, Suppression("silence", SILENCE, LATER), True),
    belonging.Moved(1, INCIDENT, OTHER_INCIDENT),
    groups.EpisodeOpened(1, INCIDENT, '{}:{alertname="x"}', ("alertname",), "{}", "payments", "platform", "two-steps"),
    incidents.Opened(7, "ServiceDown", Severity.HIGH, "payments", "platform", "two-steps", AT, LATER, GROUP, 1),
    incidents.SeverityChanged(
        Severity.HIGH, Severity.CRITICAL, ALERT, Repeat(AT, LATER, "r-2", PAYLOAD, "cd" * 32, FIRING)
    ),
    incidents.Acknowledged(),
    incidents.Unacknowledged(),
    incidents.Started(),
    incidents.Resolved("alerts_ended"),
    incidents.Reopened(),
    incidents.Reannounced("released"),
    incidents.Assigned(("ada", "grace")),
    incidents.Commented(PAYLOAD),
    belonging.GroupAttached(GROUP, 1, "correlation", None, "kin", "payments depends on ledger"),
    belonging.GroupDetached(GROUP, 1, OTHER_INCIDENT, 8),
    belonging.AlertsSplit((ALERT,), OTHER_GROUP, OTHER_INCIDENT, 8),
    belonging.Merged(OTHER_INCIDENT, 8),
    belonging.Unmerged(OTHER_INCIDENT, 8, "triggered", (belonging.Part(GROUP, 1),)),
    belonging.Absorbed(OTHER_INCIDENT, 8, (belonging.Part(GROUP, 1),)),
    belonging.Parted(OTHER_INCIDENT, 8, (belonging.Part(GROUP, 1),)),
    escalations.Started(INCIDENT, 1, POLICY, AT, "r-1"),
    escalations.StepNotified(1, 1, AT, (escalations.Notified("team:platform/primary", "ada", "email", PAGE),), LATER),
    escalations.StepSkipped(1, 2, AT, "nobody_reachable", AT),
    escalations.StepDelayed(1, 2, AT, "stale"),
    escalations.Stopped("acknowledged", (PAGE,)),
    escalations.Exhausted(LATER),
    pages.Queued(ESCALATION, INCIDENT, 1, 1, "ada", "email"),
    pages.Sent(DELIVERY, 1, False),
    pages.Failed(DELIVERY, 8, "rcpt: 550"),
    pages.Unknown(DELIVERY, 2, "claim_expired"),
    pages.Cancelled("acknowledged"),
    intake.AlertsLost("default", "alerts", 7, 10, 41),
    erasing.PayloadErased(("alert/r-1/0",), "request 12"),
    changes.ObjectPut(config.RouteTree(ROUTE)),
    changes.ObjectRemoved("team", "search"),
)

CONFIG_SAMPLES: tuple[Event, ...] = (
    changes.ObjectPut(config.User("ada"), PayloadRef("config-x/1", "ab" * 32)),
    changes.ObjectPut(config.Team("platform", (config.Member("ada", "primary"),), contacts=CHANNEL)),
    changes.ObjectPut(config.Policy("channel", (config.Step((config.Target(team="platform"),), 300.0),))),
    changes.ObjectPut(config.Service("payments", "platform", "two-steps")),
    changes.ObjectPut(POLICY),
    changes.ObjectPut(config.Integration("alertmanager", "alertmanager", ("ab" * 32,), 4)),
    changes.ObjectPut(InhibitionRule("worse", ROUTE.routes[0].matchers, ROUTE.routes[0].matchers, ("service",))),
    changes.ObjectPut(Silence(SILENCE, ROUTE.routes[0].matchers, AT, LATER, AT), PayloadRef("config-y/1", "ab" * 32)),
    changes.ObjectPut(Interval("office", (Span((TimeRange(540, 1020),), (Range(1, 5),), location="Europe/Berlin"),))),
    changes.ObjectPut(Window("upgrade", AT, 3600.0, services=("payments",), rrule="FREQ=DAILY")),
    changes.ObjectPut(Heartbeat("backup", 86_400.0, 1800.0, "payments", labels=(("site", "north"),), token_hashes=())),
    changes.ObjectPut(config.ApiKey("ci", "responder", "ab" * 32, "ada")),
)
