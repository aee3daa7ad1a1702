"""What the gateway is made of: real parts chosen by the composition root, or fakes by tests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.intake import Intake
from projections.queries import Queries
from schemas.settings import Settings
from streams.clock import Clock, system_clock
from streams.store.base import Store


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
        database_clock: asks Postgres what time it is; blocks; raises Unavailable.
        wall: the machine's unmoved time, which is compared with the database's.
    """

    settings: Settings
    store: Store
    queries: Queries
    intake: Intake
    clock: Clock
    ids: Callable[[], str]
    salt: Callable[[], bytes]
    database_clock: Callable[[], datetime]
    wall: Clock = system_clock
