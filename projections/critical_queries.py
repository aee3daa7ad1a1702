"""What fires in open critical incidents, asked of one connection: what a silence could hide."""

from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg.rows import DictRow

from domain.alerts import Alert
from projections.references import incident_name
from schemas.payloads import read_alert

INCIDENTS = 1_000
"""Open critical incidents that are looked at, the latest first."""
ALERTS = 5_000
"""Firing alerts that are looked at."""
QUERY: LiteralString = """
with ongoing as (
    select id, number, service, team from incidents
    where status in ('triggered', 'acknowledged', 'in_progress') and severity = 'critical'
    order by number desc limit %(incidents)s
)
select o.number, o.service, o.team, s.integration, s.suppressed, p.body, (select count(*) from ongoing) as incidents
from ongoing o join alert_state s on s.incident = o.id left join payloads p on p.ref = s.payload
where s.status = 'firing'
order by o.number desc limit %(alerts)s
"""


@dataclass(frozen=True, slots=True)
class CriticalAlert:
    """A firing alert of an open critical incident, and whose that is; `suppressed` is why nothing is said of the alert,
    as `reason/rule`.
    """

    incident: str
    service: str
    team: str
    integration: str
    suppressed: str | None
    alert: Alert


@dataclass(frozen=True, slots=True)
class CriticalAlerts:
    """What was found; `complete` says that there are no more. Alerts whose texts were erased are left out."""

    alerts: tuple[CriticalAlert, ...]
    complete: bool


def critical_alerts(connection: psycopg.Connection[DictRow]) -> CriticalAlerts:
    """Firing alerts in open critical incidents, spoken of or not, the latest incident first."""
    rows = connection.execute(QUERY, {"incidents": INCIDENTS + 1, "alerts": ALERTS + 1}).fetchall()
    more = len(rows) > ALERTS or (bool(rows) and rows[0]["incidents"] > INCIDENTS)
    found = (
        CriticalAlert(
            incident=incident_name(row["number"]),
            service=row["service"],
            team=row["team"],
            integration=row["integration"],
            suppressed=row["suppressed"],
            alert=read_alert(bytes(row["body"])),
        )
        for row in rows[:ALERTS]
        if row["body"] is not None
    )
    return CriticalAlerts(tuple(found), not more)
