"""What tests of the gateway have in common: a captured webhook, an incident, a refusal that is complete."""

import json
from typing import Any

from domain import incidents
from schemas.problems import MEDIA_TYPE
from tests.gateway_world import KEYS, GatewayWorld
from tests.world import alert, webhook

CAPTURED_BYTES = rb"""{"version":"4","groupKey":"{}:{alertname=\"ServiceDown\"}","truncatedAlerts":0,
 "status":"firing","receiver":"incident-api","notification_reason":"first notification",
 "groupLabels":{"alertname":"ServiceDown"},
 "commonLabels":{"alertname":"ServiceDown","severity":"page","team":"platform"},
 "commonAnnotations":{"summary":"down"},"routeLabels":{},
 "externalURL":"http://am.example:9093",
 "alerts":[{"status":"firing","labels":{"alertname":"ServiceDown","job":"my-service","severity":"page"},
   "annotations":{"summary":"down","runbook_url":"https://rb.example/x"},
   "startsAt":"2026-11-20T21:26:47.632Z","endsAt":"0001-01-01T00:00:00Z",
   "generatorURL":"http://prom:9090/graph?g0.expr=up","fingerprint":"955bdf9692ad12ea"}]}"""
"""A webhook as Alertmanager sent it. Source: contract page 02, section A."""
CAPTURED = json.loads(CAPTURED_BYTES)


def problem_of(response: Any, status: int, name: str) -> dict[str, Any]:
    """The problem document of a refusal, which is complete."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    document: dict[str, Any] = response.json()
    assert document["type"] == f"/problems/{name}"
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    assert document["title"] and document["detail"] and document["remedy"]
    return document


def opened(world: GatewayWorld, name: str = "Down", **labels: str) -> str:
    """An incident that came of a webhook."""
    assert world.webhook(webhook([alert(name, labels, world.now())])).status_code == 202
    world.arrive()
    return str(world.ask("/api/v1/incidents").json()["incidents"][0]["name"])


def create(world: GatewayWorld, headers: dict[str, str] | None = None, **body: Any) -> Any:
    """A person asks for an incident to be opened."""
    return world.request("POST", "/api/v1/incidents", KEYS["responder"], json=body, headers=headers or {})


def state(world: GatewayWorld, name: str) -> incidents.Incident:
    """An incident by its name, as the store has it."""
    stream = f"incident-{world.ask(f'/api/v1/incidents/{name}').json()['id']}"
    found = world.store.load([stream])[stream].state
    assert isinstance(found, incidents.Incident)
    return found
