"""The bench's company, as configuration."""

from compose.prepare import hashed
from tests.bench.bodies import SERVICES


def config(token: str) -> str:
    """The bench's company: a service, a policy and a person on call for each of the `SERVICES`.

    What is labelled bench="quiet" waits a day for its first page: it loads everything but the mail server.
    """
    numbers = [f"{number:02}" for number in range(SERVICES)]
    users = "\n".join(f"  oncall-{n}: {{name: Oncall {n}, email: oncall-{n}@example.test}}" for n in numbers)
    members = ", ".join(f"{{user: oncall-{n}, role: primary}}" for n in numbers)
    services = "\n".join(f"  svc-{n}: {{team: bench, policy: policy-{n}}}" for n in numbers)
    policies = "\n".join(
        f"  policy-{n}: {{steps: [{{targets: [{{user: oncall-{n}}}], escalate_after: 1d}}]}}" for n in numbers
    )
    return f"""
version: 1
users:
{users}
teams:
  bench: {{members: [{members}]}}
services:
{services}
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
