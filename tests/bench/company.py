"""The bench's company, as configuration."""

from domain.config import hashed
from tests.bench.bodies import SERVICES


def config(token: str, services: int = SERVICES, deputy: bool = False) -> str:
    """The bench's company: a service, a policy and a person on call for each of the services.

    What is labelled bench="quiet" waits a day for its first page: it loads everything but the mail server. With a
    `deputy`, one person more is told of everything that nobody acknowledges in five minutes.
    """
    numbers = [f"{number:02}" for number in range(services)]
    people = [f"oncall-{n}" for n in numbers] + (["deputy"] if deputy else [])
    users = "\n".join(f"  {person}: {{name: {person.title()}, email: {person}@example.test}}" for person in people)
    members = ", ".join(f"{{user: {person}, role: primary}}" for person in people)
    catalogue = "\n".join(f"  svc-{n}: {{team: bench, policy: policy-{n}}}" for n in numbers)
    after = "5m" if deputy else "1d"
    then = ", {targets: [{user: deputy}], escalate_after: 1d}" if deputy else ""
    policies = "\n".join(
        f"  policy-{n}: {{steps: [{{targets: [{{user: oncall-{n}}}], escalate_after: {after}}}{then}]}}"
        for n in numbers
    )
    return f"""
version: 1
users:
{users}
teams:
  bench: {{members: [{members}]}}
services:
{catalogue}
escalation_policies:
{policies}
route:
  team: bench
  policy: policy-00
  group_by: [alertname, service]
  routes:
    - {{matchers: ['bench="quiet"'], group_wait: 1d}}
integrations:
  alertmanager: {{source: alertmanager, token_hashes: ['sha256:{hashed(token)}']}}
"""
