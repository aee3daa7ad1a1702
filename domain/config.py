"""What an organisation configures: who its people are, what they own, how they are reached, what goes where.

Every object is one stream in the store, each change an event with its author. `Config` is all of them at one
revision (the position of the last configuration event), compiled for lookups.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, TypeVar

from domain.correlating import CorrelationRule, Kinships, Look
from domain.facts import EVERY, facts, is_fact, recorded
from domain.heartbeats import Heartbeat
from domain.inhibition import InhibitionRule
from domain.intervals import Interval
from domain.recipients import channel_of, team_of
from domain.routing import Node, Route, Routing, labels_read, plan, routes
from domain.silences import Silence
from domain.windows import Window

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class ContactMethod:
    """One way to reach a person or a team: a channel name (`email`) and an address there."""

    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class User:
    """A person who can be paged. Name and contact methods are personal data: kept beside the events, erasable."""

    id: str
    name: str = ""
    contacts: tuple[ContactMethod, ...] = ()
    kind: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class Member:
    """A user's role in a team, e.g. `primary`, `lead`."""

    user: str
    role: str


@dataclass(frozen=True, slots=True)
class Team:
    """People who own services.

    `contacts` are the team's own channel: a shared mailbox, a mailing list, the address of a chat channel. That is the
    address of a team and of no person, so unlike a user's it stays in the log.
    """

    id: str
    members: tuple[Member, ...] = ()
    kind: Literal["team"] = "team"
    contacts: tuple[ContactMethod, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A page about a service: `name` is e.g. dashboard, logs, runbook."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Service:
    """Something that alerts are about; owned by a team, paged by an escalation policy.

    `tier` is how much depends on it, 1 the most. `dependencies` are services that it cannot work without, in cycles or
    not. `description` says what it is, for people; it is no personal data, and stays in the log.
    """

    id: str
    team: str
    policy: str
    kind: Literal["service"] = "service"
    environment: str | None = None
    tier: int | None = None
    dependencies: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a step reaches: one user, everyone who has a role in a team, or, without a role, the team's channel."""

    user: str | None = None
    team: str | None = None
    role: str | None = None

    @property
    def recipient(self) -> str | None:
        """The one that it names, a user or a team's channel; None for a role, which stands for whoever has it."""
        return channel_of(self.team) if self.team and not self.role else self.user

    def __str__(self) -> str:
        if self.user:
            return f"user:{self.user}"
        return f"team:{self.team}/{self.role}" if self.role else channel_of(self.team or "")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an escalation policy.

    `escalate_after`: seconds to wait for an acknowledgement, after this step's people were paged, before the
    next step runs.
    """

    targets: tuple[Target, ...]
    escalate_after: float


@dataclass(frozen=True, slots=True)
class Policy:
    """An escalation policy: steps in order, the whole list `loops` times (1 = once through).

    `stale_after`: seconds. A deadline that is met later than that (the pagers were down) says so; one step runs, and
    later ones wait from then.
    """

    id: str
    steps: tuple[Step, ...]
    loops: int = 1
    stale_after: float = 600.0
    kind: Literal["policy"] = "policy"


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Where a generic integration's bodies have the fields of an alert: dotted paths; None: under the common names.

    `status_values` and `severity_values` are pairs of a word that is sent and what it means here, sorted.
    """

    fingerprint: str | None = None
    status: str | None = None
    severity: str | None = None
    title: str | None = None
    service: str | None = None
    summary: str | None = None
    time: str | None = None
    labels: str | None = None
    status_values: tuple[tuple[str, str], ...] = ()
    severity_values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Integration:
    """A monitoring system that may post alerts.

    `source` names the format it speaks (`alertmanager`), `token_hashes` the sha256 (hex) of each bearer token it
    may present (None in a file: those it has stay), `shards` over how many partitions its alerts spread. `team` is
    told of what of it cannot be decided. An alert that it has not reported for `expires_after` seconds ends by itself;
    None: never. `max_alerts` and `max_body_bytes` limit one webhook, below what all may send.
    """

    id: str
    source: str
    token_hashes: tuple[str, ...] | None = None
    shards: int = 1
    mapping: FieldMapping | None = None
    kind: Literal["integration"] = "integration"
    team: str | None = None
    max_alerts: int | None = None
    max_body_bytes: int | None = None
    expires_after: float | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key for the API: `role` is viewer, responder or admin; `hash` the sha256 (hex) of the key.

    `user` is the person that acts with it, when it belongs to one.
    """

    id: str
    role: Literal["viewer", "responder", "admin"]
    hash: str
    user: str | None = None
    kind: Literal["api_key"] = "api_key"


@dataclass(frozen=True, slots=True)
class RouteTree:
    """The routing tree, one object: its root matches everything."""

    root: Route
    id: str = "default"
    kind: Literal["route_tree"] = "route_tree"


ConfigObject = (
    User
    | Team
    | Service
    | Policy
    | Integration
    | ApiKey
    | RouteTree
    | InhibitionRule
    | CorrelationRule
    | Interval
    | Window
    | Heartbeat
)
"""What configuration files declare."""
Standing = ConfigObject | Silence
"""Everything that is configured: besides that, what people set while they work."""


def hashed(token: str) -> str:
    """What the configuration keeps of a token: its sha256 in hex. Tokens are 32 random bytes, so no salt is needed."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def hashes(item: ConfigObject) -> tuple[str, ...]:
    """The hashes of the tokens or the key that an object lets in; most let in nobody."""
    match item:
        case Integration() | Heartbeat():
            return item.token_hashes or ()
        case ApiKey():
            return (item.hash,)
        case _:
            return ()


def _quieting(item: Standing) -> frozenset[str]:
    """The labels and facts that are read of an alert by what keeps Tocsin from speaking of it by itself."""
    match item:
        case Silence():
            return frozenset(matcher.label for matcher in item.matchers)
        case InhibitionRule():
            return frozenset(matcher.label for matcher in item.source + item.target).union(item.equal)
        case Window() | CorrelationRule():
            return item.reads
        case Heartbeat():
            return frozenset(matcher.label for matcher in item.fed_by)
        case _:
            return frozenset()


REMEMBERED = 20_000
"""What a configuration remembers of each kind that it has found out, at most."""


def _remembered(known: dict[K, V], read: K, find: Callable[[], V]) -> V:
    found = known.get(read)
    if found is None:
        if len(known) >= REMEMBERED:
            known.clear()
        found = known[read] = find()
    return found


@dataclass(frozen=True, slots=True)
class Config:
    """All configuration at one revision.

    `labels_read`: see `routing.labels_read`; `labels_recorded`: those of them that an event may hold, in order;
    `facts_read`: the facts that any matcher names; `tree`: the routing tree with everything inherited; `kinships`:
    which services depend on each other; `correlated`: the labels and facts that correlation rules read.
    """

    revision: int = 0
    users: Mapping[str, User] = field(default_factory=dict)
    teams: Mapping[str, Team] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    integrations: Mapping[str, Integration] = field(default_factory=dict)
    api_keys: Mapping[str, ApiKey] = field(default_factory=dict)
    root: Route | None = None
    inhibition_rules: Mapping[str, InhibitionRule] = field(default_factory=dict)
    correlation_rules: Mapping[str, CorrelationRule] = field(default_factory=dict)
    silences: Mapping[str, Silence] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    feeding: tuple[Heartbeat, ...] = ()
    labels_read: frozenset[str] = frozenset()
    labels_recorded: tuple[str, ...] = ()
    facts_read: frozenset[str] = frozenset()
    tree: Node | None = None
    kinships: Kinships = field(default_factory=Kinships, repr=False, compare=False)
    correlated: tuple[str, ...] = ()
    _routed: dict[tuple[object, ...], tuple[Routing, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _looked: dict[tuple[object, ...], tuple[Look, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, revision: int, objects: Mapping[tuple[str, str], Standing]) -> "Config":
        """Compile `objects`, keyed by (kind, id), as they stood at `revision`."""
        values = objects.values()
        tree = objects.get(("route_tree", "default"))
        services = {o.id: o for o in values if isinstance(o, Service)}
        read = labels_read(tree.root) if isinstance(tree, RouteTree) else frozenset()
        kept_quiet = frozenset[str]().union(*map(_quieting, values))
        rules = [o for o in values if isinstance(o, CorrelationRule)]
        return cls(
            revision=revision,
            users={o.id: o for o in values if isinstance(o, User)},
            teams={o.id: o for o in values if isinstance(o, Team)},
            services=services,
            policies={o.id: o for o in values if isinstance(o, Policy)},
            integrations={o.id: o for o in values if isinstance(o, Integration)},
            api_keys={o.id: o for o in values if isinstance(o, ApiKey)},
            root=tree.root if isinstance(tree, RouteTree) else None,
            inhibition_rules={o.id: o for o in values if isinstance(o, InhibitionRule)},
            correlation_rules={o.id: o for o in rules},
            silences={o.id: o for o in values if isinstance(o, Silence)},
            windows={o.id: o for o in values if isinstance(o, Window)},
            intervals={o.id: o for o in values if isinstance(o, Interval)},
            heartbeats={o.id: o for o in values if isinstance(o, Heartbeat)},
            feeding=tuple(o for o in values if isinstance(o, Heartbeat) and o.fed_by),
            labels_read=read,
            labels_recorded=tuple(sorted(recorded(read))),
            facts_read=frozenset(filter(is_fact, read | kept_quiet)),
            tree=plan(tree.root) if isinstance(tree, RouteTree) else None,
            kinships=Kinships(services),
            correlated=tuple(sorted(frozenset[str]().union(*(o.reads for o in rules)))),
        )

    def facts(
        self, labels: Mapping[str, str], annotations: Mapping[str, str], severity: str, integration: str
    ) -> Mapping[str, str]:
        """What matchers read of an alert: its labels, and the facts that any matcher names."""
        if not self.facts_read:
            return labels
        known = self.integrations.get(integration)
        return facts(
            labels,
            annotations,
            severity=severity,
            source=known.source if known else integration,
            integration=integration,
            services=self.services,
            read=self.facts_read,
        )

    def routes(self, facts: Mapping[str, str]) -> tuple[Routing, ...]:
        """Every way that an alert with these labels and facts takes; remembered by those that count.

        Raises ValueError when no usable routing tree is configured.
        """
        if self.tree is None:
            raise ValueError("no routing tree is configured")
        read: tuple[object, ...] = tuple([facts.get(name) for name in self.labels_read])
        if EVERY in self.labels_read:
            read = tuple(sorted(facts.items()))
        tree = self.tree
        return _remembered(self._routed, read, lambda: routes(tree, facts, self.services))

    def route(self, facts: Mapping[str, str]) -> Routing:
        """The first way that an alert takes; see `routes`."""
        return self.routes(facts)[0]

    def looks(self, read: tuple[object, ...], find: Callable[[], tuple[Look, ...]]) -> tuple[Look, ...]:
        """Where an alert looks for incidents to join: what `find` finds, remembered by all that it has `read`."""
        return _remembered(self._looked, read, find)

    def recorded(self, facts: Mapping[str, str]) -> dict[str, str]:
        """Those labels and facts of an alert that decided where it goes, as far as an event may hold them; sorted."""
        names = sorted(recorded(facts)) if EVERY in self.labels_read else self.labels_recorded
        return {name: facts[name] for name in names if name in facts}

    def people(self, target: Target) -> tuple[str, ...]:
        """The recipients that `target` reaches now, in a stable order; unknown names reach nobody.

        A user by their id, however many contact methods they have; a team's channel (see `recipients`) if there is one.
        """
        if target.user:
            return (target.user,) if target.user in self.users else ()
        team = self.teams.get(target.team or "")
        if team is None:
            return ()
        if target.role is None:
            return (channel_of(team.id),) if team.contacts else ()
        return tuple(m.user for m in team.members if m.role == target.role and m.user in self.users)

    def contacts(self, recipient: str) -> tuple[ContactMethod, ...]:
        """How a user or a team's channel is reached now; nobody knows how somebody is who is not configured."""
        team = team_of(recipient)
        found: User | Team | None = self.users.get(recipient) if team is None else self.teams.get(team)
        return found.contacts if found else ()
