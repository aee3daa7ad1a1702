"""What the gateway is made of: real parts chosen by the composition root, or fakes by tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.intake import Intake
from projections.lag import LagReader
from projections.queries import Queries
from schemas.settings import Settings
from streams.channels.base import Channel
from streams.clock import Clock, system_clock
from streams.offsets import EndOffsets
from streams.store.base import Store
from streams.store.outages import Outages


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the gateway uses of the outside world.

    Parameters:
        settings: limits, names and time-outs.
        store: where commands are decided; the composition root opens and closes it.
        queries: the read models; the composition root opens and closes them.
        intake: where alerts become durable; the app starts and closes it.
        clock: the application's time, which tests move.
        ids: gives a new unique identifier each time (a uuid as text): of a receipt, a request, a command.
        salt: gives 16 new random bytes each time, for digests of what can be erased.
        lags: how far every role is; the composition root opens and closes it.
        ends: the ends of the alerts topic; the app keeps them fresh.
        database_clock: asks Postgres what time it is; blocks; raises Unavailable.
        outages: which outages people have been told of.
        channels: by name, for what the watchdog has to say; the composition root opens and closes them.
        heartbeat: writes down that this gateway lives; blocks; raises Unavailable.
        wall: the machine's unmoved time, which is compared with the database's.
    """

    settings: Settings
    store: Store
    queries: Queries
    intake: Intake
    clock: Clock
    ids: Callable[[], str]
    salt: Callable[[], bytes]
    lags: LagReader
    ends: EndOffsets
    database_clock: Callable[[], datetime]
    outages: Outages
    channels: Mapping[str, Channel] = field(default_factory=dict)
    heartbeat: Callable[[], None] = lambda: None
    wall: Clock = system_clock
