"""Who may do what: guards that routes name, and a check that no route was left without one.

Roles: a viewer reads, a responder also acts on incidents, an admin also changes the configuration. Everything that
is not in `PUBLIC` needs a guard, or the app refuses to start.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from fastapi import Depends, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from structlog.contextvars import bind_contextvars

from domain.config import ApiKey, Integration
from gateway.keyring import Keyring
from gateway.refusals import Refusal
from gateway.state import Gateway, Here

Role = Literal["viewer", "responder", "admin"]

ROLES: tuple[Role, ...] = ("viewer", "responder", "admin")
"""From the least to the most powerful."""

PUBLIC = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", "/incidents/{ref}"})
"""What anybody may ask for."""

_API_KEY = HTTPBearer(scheme_name="api_key", description="An API key; its role says what it may do.", auto_error=False)
_WEBHOOK = HTTPBearer(scheme_name="webhook_token", description="A token of one integration.", auto_error=False)

Presented = Annotated[HTTPAuthorizationCredentials | None, Security(_API_KEY)]
PresentedByMachine = Annotated[HTTPAuthorizationCredentials | None, Security(_WEBHOOK)]


class Guard:
    """Something that stands before a route and raises Refusal for those who may not pass."""


class AtLeast(Guard):
    """Lets API keys of `role` or a more powerful one pass, and says which it was."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, here: Here, presented: Presented) -> ApiKey:
        """The key that is presented. Raises Refusal (401, 403)."""
        keyring = await here.configured.keyring()
        token = _token(presented, "an API key")
        key = keyring.api_key(token)
        if key is None:
            raise _unknown(keyring, token)
        bind_contextvars(caller=key.id)
        if ROLES.index(key.role) < ROLES.index(self.role):
            raise Refusal("forbidden", f"The key `{key.id}` is {_a(key.role)}'s; this takes {_a(self.role)}.")
        return key


class WebhookToken(Guard):
    """Lets the integrations of one source pass, and says which it was."""

    def __init__(self, source: str) -> None:
        self.source = source

    async def __call__(self, here: Here, presented: PresentedByMachine) -> Integration:
        """The integration whose token is presented. Raises Refusal (401, 403)."""
        keyring = await here.configured.keyring()
        integration = keyring.integration(_token(presented, "a webhook token"))
        if integration is None:
            raise Refusal("unauthenticated", "No integration has this token.")
        bind_contextvars(integration=integration.id)
        if integration.source != self.source:
            raise Refusal(
                "forbidden",
                f"The integration `{integration.id}` speaks {integration.source}, not {self.source}.",
                remedy=f"Post to /api/v1/webhooks/{integration.source}, or use a token of another integration.",
            )
        return integration

    async def admit(self, here: Gateway, request: Request) -> Integration:
        """The integration whose token `request` presents. Raises Refusal (401, 403)."""
        return await self(here, await _WEBHOOK(request))


Viewer = Annotated[ApiKey, Depends(AtLeast("viewer"))]
Responder = Annotated[ApiKey, Depends(AtLeast("responder"))]
Admin = Annotated[ApiKey, Depends(AtLeast("admin"))]


def refuse_unguarded(routes: Iterable[RouteContext]) -> None:
    """Raises RuntimeError for a route that is neither public nor guarded: denied by default."""
    for route in routes:
        dependant = getattr(route, "dependant", None)
        guarded = dependant is not None and any(guards(dependant))
        if route.path not in PUBLIC and not guarded:
            raise RuntimeError(f"{route.path} has no guard: give it one, or name it in gateway.auth.PUBLIC")


def guards(dependant: Dependant) -> Iterator[Guard]:
    """The guards that stand before a route."""
    for inner in dependant.dependencies:
        if isinstance(inner.call, Guard):
            yield inner.call
        yield from guards(inner)


def _token(presented: HTTPAuthorizationCredentials | None, what: str) -> str:
    if presented is None:
        raise Refusal("unauthenticated", f"There is no `Authorization: Bearer` header; this takes {what}.")
    return presented.credentials


def _unknown(keyring: Keyring, token: str) -> Refusal:
    if keyring.integration(token) is not None:
        return Refusal("unauthenticated", "This is a webhook token; the API takes an API key.")
    return Refusal("unauthenticated", "No API key has this value.")


def _a(role: Role) -> str:
    return f"an {role}" if role == "admin" else f"a {role}"
