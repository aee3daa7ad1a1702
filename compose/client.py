"""Talking to a gateway over HTTP, for the command line and the demo: typed answers, problems as one exception."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
from pydantic import BaseModel, TypeAdapter

from compose.datadir import read_running
from schemas.alertmanager_api import GettableSilence, SilenceSet
from schemas.api import (
    ApplyAnswer,
    CommandAnswer,
    ConfigHistory,
    IncidentList,
    IncidentView,
    PageView,
    ReceiptAnswer,
    Timeline,
)
from schemas.api_alerts import AlertAnswer, AlertDetail
from schemas.api_explained import ExplainAnswer
from schemas.api_heartbeats import HeartbeatList, PingAnswer
from schemas.api_reads import AlertList, DueList
from schemas.api_receipts import ReceiptView
from schemas.config_errors import sentence
from schemas.status import Status

ATTEMPTS = 3
"""Of a command whose answer did not come, or was "not now"."""
TIMEOUT = httpx.Timeout(15.0, connect=5.0)
PAGES = TypeAdapter(tuple[PageView, ...])
SILENCES = TypeAdapter(tuple[GettableSilence, ...])
M = TypeVar("M", bound=BaseModel)


class Refusal(Exception):
    """The gateway said no, or nothing: `str()` is a sentence or two for the person who asked.

    `status` is the HTTP status, 0 when there was no answer; `errors` are an apply's, one line each.
    """

    def __init__(self, sentence: str, status: int = 0, errors: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.status, self.errors = status, errors


@dataclass(frozen=True, slots=True)
class Access:
    """Where the gateway is and what to say to it."""

    url: str
    key: str = field(repr=False)


def find_access(url: str | None, key: str | None, data_dir: Path, role: str) -> Access:
    """The gateway that was named, else the one running on `data_dir` with its example key for `role`.

    Raises Refusal when neither is known.
    """
    running = None if url and key else read_running(data_dir)
    if not url and running is None:
        raise Refusal(
            f"No gateway is known: nothing runs on {data_dir}. "
            "Start one with `make up`, or name one with --url and --key."
        )
    keys: Mapping[str, str] = {}
    if running is not None:
        known = running.api_keys
        keys = {"viewer": known.viewer, "responder": known.responder, "admin": known.admin}
    found = key or keys.get(role)
    if not found:
        raise Refusal("No API key is known for that gateway: give one with --key or TOCSIN_API_KEY.")
    return Access((url or (running.gateway_url if running else "")).rstrip("/"), found)


class Client:
    """A session with one gateway. Every call raises Refusal when it does not get what it asked for."""

    def __init__(self, access: Access, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {access.key}", "X-Tocsin-Origin": "cli"}
        self._url = access.url
        self._http = httpx.Client(
            base_url=access.url, headers=headers, timeout=TIMEOUT, trust_env=False, transport=transport
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def incidents(self, **filters: Any) -> IncidentList:
        """Incidents, newest first; filters are those of GET /api/v1/incidents."""
        return self._get(IncidentList, "/api/v1/incidents", filters)

    def incident(self, ref: str, min_position: int | None = None) -> IncidentView:
        """One incident by name, number or uuid; itself, also when it is merged."""
        asked = {"min_position": min_position, "redirect": "false"}
        return self._get(IncidentView, f"/api/v1/incidents/{ref}", asked)

    def timeline(self, ref: str, min_position: int | None = None, **portion: Any) -> Timeline:
        """What happened to it last; a `portion` is as in GET /api/v1/incidents/{ref}/timeline."""
        asked = {"min_position": min_position, **portion}
        return self._get(Timeline, f"/api/v1/incidents/{ref}/timeline", asked)

    def act(self, ref: str, verb: str, body: Mapping[str, Any] | None = None) -> CommandAnswer:
        """Ask a command of an incident: `ack`, `assign` with its users, ..."""
        return self._command(CommandAnswer, f"/api/v1/incidents/{ref}/{verb}", body)

    def alerts(self, **filters: Any) -> AlertList:
        """Alerts, the latest to appear first; filters are those of GET /api/v1/alerts."""
        return self._get(AlertList, "/api/v1/alerts", filters)

    def alert(self, alert: str) -> AlertDetail:
        """One alert and what happened to it."""
        return self._get(AlertDetail, f"/api/v1/alerts/{quote(alert, safe='')}", {})

    def act_on_alert(self, alert: str, verb: str) -> AlertAnswer:
        """Ask a command of an alert: `ack`, `unack` or `resolve`."""
        return self._command(AlertAnswer, f"/api/v1/alerts/{quote(alert, safe='')}/{verb}", None)

    def create(self, body: Mapping[str, Any]) -> CommandAnswer:
        """Open an incident that no alert reports."""
        return self._command(CommandAnswer, "/api/v1/incidents", body)

    def _command(self, model: type[M], path: str, body: Mapping[str, Any] | None) -> M:
        """Ask again when nobody knows whether it was done: under one idempotency key it is done once."""
        headers = {"Idempotency-Key": str(uuid4())}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._ask("POST", path, json=body, headers=headers)
                return model.model_validate_json(answer.content)
            except Refusal as refusal:
                if attempt == ATTEMPTS or refusal.status not in (0, 503):
                    raise
                time.sleep(random.uniform(0.5, 1.5) * attempt)  # noqa: S311
        raise AssertionError("the last attempt returns or raises")

    def apply(
        self, documents: Mapping[str, str], dry_run: bool, prune: bool = False, revision: int | None = None
    ) -> ApplyAnswer:
        """Make the configuration what these YAML documents say; with `revision`, only if it is still at that."""
        body = {"documents": dict(documents), "dry_run": dry_run, "prune": prune, "revision": revision}
        return ApplyAnswer.model_validate_json(self._ask("POST", "/api/v1/config/apply", json=body).content)

    def config(self) -> str:
        """The whole configuration as YAML."""
        return self._ask("GET", "/api/v1/config").text

    def config_history(self, kind: str | None, name: str | None, limit: int) -> ConfigHistory:
        """Who changed what, newest first; of one object if it is named."""
        return self._get(ConfigHistory, "/api/v1/config/history", {"kind": kind, "id": name, "limit": limit})

    def config_object(self, kind: str, name: str) -> Any:
        """One object as it stands in the YAML files, None when there is none; `kind` is a section of theirs."""
        try:
            return self._ask("GET", _object(kind, name)).json()
        except Refusal as refusal:
            if refusal.status != httpx.codes.NOT_FOUND:
                raise
            return None

    def put_object(self, kind: str, name: str, body: Any) -> ApplyAnswer:
        """Create or replace one object."""
        return ApplyAnswer.model_validate_json(self._ask("PUT", _object(kind, name), json=body).content)

    def remove_object(self, kind: str, name: str) -> ApplyAnswer:
        """Remove one object."""
        return ApplyAnswer.model_validate_json(self._ask("DELETE", _object(kind, name)).content)

    def fire(self, source: str, token: str, body: Mapping[str, Any]) -> ReceiptAnswer:
        """Post a webhook as a monitoring system would."""
        headers = {"Authorization": f"Bearer {token}"}
        answer = self._ask("POST", f"/api/v1/webhooks/{source}", json=body, headers=headers)
        return ReceiptAnswer.model_validate_json(answer.content)

    def silences(self, filters: tuple[str, ...] = ()) -> tuple[GettableSilence, ...]:
        """Silences whose matchers are as the filters say: the active ones, those to come, those that expired."""
        answer = self._ask("GET", "/api/v2/silences", params={"filter": list(filters)})
        return SILENCES.validate_json(answer.content)

    def set_silence(self, silence: Mapping[str, Any]) -> SilenceSet:
        """Silence alerts."""
        return self._command(SilenceSet, "/api/v1/silences", silence)

    def end_silence(self, name: str) -> None:
        """End a silence before its time."""
        self._ask("DELETE", f"/api/v2/silence/{quote(name, safe='')}")

    def heartbeats(self) -> HeartbeatList:
        """What has to ping, and how it stands."""
        return self._get(HeartbeatList, "/api/v1/heartbeats", {})

    def ping(self, heartbeat: str, token: str | None = None) -> PingAnswer:
        """Say that a heartbeat lives; the access is its token unless one is given."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self._ask("POST", f"/api/v1/heartbeats/{quote(heartbeat, safe='')}/ping", headers=headers)
        return PingAnswer.model_validate_json(answer.content)

    def receipt(self, receipt: str) -> ReceiptView:
        """What became of a webhook."""
        return self._get(ReceiptView, f"/api/v1/receipts/{quote(receipt, safe='')}", {})

    def pages(self, ref: str) -> tuple[PageView, ...]:
        """Who was told of an incident."""
        return PAGES.validate_json(self._ask("GET", f"/api/v1/incidents/{ref}/pages").content)

    def due(self, incident: str) -> DueList:
        """What happens next to an incident by itself."""
        return self._get(DueList, "/api/v1/due", {"incident": incident})

    def explain(self, asked: Mapping[str, Any]) -> ExplainAnswer:
        """What would become of an alert; see `schemas.api_explained.ExplainRequest`."""
        return ExplainAnswer.model_validate_json(self._ask("POST", "/api/v1/explain", json=asked).content)

    def status(self) -> Status:
        """How every role is."""
        return self._get(Status, "/api/v1/status", {})

    def ready(self) -> httpx.Response:
        """The answer of /readyz, whatever its status."""
        return self._send("GET", "/readyz")

    def _get(self, model: type[M], path: str, params: Mapping[str, Any]) -> M:
        given = {name: value for name, value in params.items() if value not in (None, (), "")}
        return model.model_validate_json(self._ask("GET", path, params=given).content)

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        answer = self._send(method, path, **arguments)
        if answer.is_error:
            raise _refusal(answer)
        return answer

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise Refusal(
                f"The gateway at {self._url} does not answer ({type(error).__name__}): is it running?"
            ) from error


def _object(kind: str, name: str) -> str:
    return f"/api/v1/config/{kind}/{quote(name, safe='')}"


def _refusal(answer: httpx.Response) -> Refusal:
    """What a problem document says, in a sentence or two; at Alertmanager's paths it is a string."""
    try:
        problem = answer.json()
    except ValueError:
        return Refusal(f"The gateway answered {answer.status_code} without saying why.", answer.status_code)
    if isinstance(problem, str):
        return Refusal(problem, answer.status_code)
    parts = [str(problem.get(name) or "") for name in ("detail", "remedy")]
    errors = tuple(map(_config_error, problem.get("errors", ())))
    said = " ".join(sentence(part) for part in parts if part)
    return Refusal(said or sentence(str(problem.get("title", answer.reason_phrase))), answer.status_code, errors)


def _config_error(error: Mapping[str, Any]) -> str:
    """One error of a configuration, as compilers write them."""
    place = ":".join(str(error.get(name, "?")) for name in ("file", "line", "column"))
    said = (sentence(str(error.get(name, ""))) for name in ("problem", "remedy"))
    return f"{place}: {error.get('path', '')}: {' '.join(said)}"
