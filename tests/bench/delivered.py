"""When the first message about an alert was on disk: the local mailbox's files, matched with what the store says of
deliveries and alerts.

The mailbox answers its sender once a mail is written, synced and renamed; the rename is the file's change time, which
the kernel keeps to some milliseconds.
"""

import email
import email.policy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.bodies import Mix, fingerprint
from tests.bench.generating import GivenUp
from tests.bench.plan import Report
from tests.bench.site import PATIENCE, Site

DELIVERIES = """
select distinct s.fingerprint, t.delivery from tocsin.alert_state s join read_models.attempts t
on t.incident = s.incident and t.outcome = 'sent' where s.fingerprint >= %s and s.fingerprint < %s
"""


@dataclass(slots=True)
class Mails:
    """The mails of a mailbox; each file is read once."""

    folder: Path
    written: dict[str, float] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def look(self) -> Mapping[str, float]:
        """Delivery -> when its mail was on disk, in seconds since 1970."""
        for file in self.folder.glob("new/*"):
            if file.name not in self._read:
                self._read.add(file.name)
                with file.open("rb") as content:
                    headers = email.message_from_binary_file(content, policy=email.policy.compat32)
                self.written[str(headers["X-Delivery-Key"])] = file.stat().st_ctime
        return self.written


def latencies(site: Site, mix: Mix, report: Report) -> tuple[list[float], int]:
    """Seconds from the 202 to the mail, of each alert that opened an incident, and how many had no mail in time."""
    mails = Mails(site.installation.folder / "data" / "mailbox")
    accepted = {fingerprint(mix.load, number): at for number, at in report.opened}

    def told() -> dict[str, float]:
        """Alert -> when the first mail about it was on disk."""
        written = mails.look()
        found: dict[str, float] = {}
        for alert, delivery in site.rows(DELIVERIES, *mix.fingerprints()):
            if alert in accepted and delivery in written:
                found[alert] = min(written[delivery], found.get(alert, written[delivery]))
        return found

    def missing() -> int:
        return len(accepted) - len(told())

    try:
        site.until("the mails", lambda: not missing(), lambda: f"{missing()} mails to come", PATIENCE / 2)
    except GivenUp as error:
        site.progress.say(f"  {error}")
    found = told()
    return [at - accepted[alert] for alert, at in found.items()], len(accepted) - len(found)
