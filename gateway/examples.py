"""A body that works for every operation that takes one: the OpenAPI document shows it, and the tests send it.

The names in it are those of compose/example.
"""

from collections.abc import Mapping
from typing import Any

WEBHOOKS: Mapping[str, Any] = {
    "alertmanager": {
        "version": "4",
        "groupKey": '{}:{alertname="HighErrorRate"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "tocsin",
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": {"alertname": "HighErrorRate", "service": "payments", "severity": "critical"},
        "commonAnnotations": {"summary": "One request of ten fails"},
        "externalURL": "https://alertmanager.example.test",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighErrorRate", "service": "payments", "severity": "critical"},
                "annotations": {"summary": "One request of ten fails"},
                "startsAt": "2026-03-02T03:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://prometheus.example.test/graph",
                "fingerprint": "5ef77f1f8a3ecfb8",
            }
        ],
    },
    "elastic": {
        "alert_name": "High error rate",
        "alert_id": "7c1b:payments",
        "state": {"state": "active", "timestamp": "2026-03-02T03:00:00Z"},
        "severity": "high",
        "message": "One request of ten fails",
        "service": {"name": "payments", "environment": "production"},
    },
    "generic": {"title": "Backup failed", "service": "payments", "severity": "high", "status": "firing"},
}
"""By source."""

COMMANDS: Mapping[str, Any] = {
    "create": {"title": "The shop is slow", "severity": "high", "service": "payments"},
    "assign": {"users": ["ada"]},
    "severity": {"severity": "low"},
    "merge": {"into": "INC-1"},
    "split": {"alerts": ["5b2f0c9e-0000-5000-8000-000000000005"]},
    "attach": {"alerts": ["5b2f0c9e-0000-5000-8000-000000000005"]},
    "detach": {"group": "5b2f0c9e-0000-5000-8000-000000000001"},
    "comment": {"text": "The database is out of connections."},
}
"""By what is asked of an incident."""

APPLY: Mapping[str, Any] = {
    "documents": {"services.yaml": "version: 1\nservices:\n  reports: {team: platform, policy: platform-default}\n"},
    "dry_run": True,
}

OBJECTS: Mapping[str, Any] = {
    "users": {"name": "Ada Example", "email": "ada@example.test"},
    "teams": {"email": "platform@example.test", "members": [{"user": "ada", "role": "primary"}]},
    "services": {"team": "platform", "policy": "platform-default"},
    "escalation_policies": {
        "loops": 2,
        "steps": [{"targets": [{"team": "platform", "role": "primary"}], "escalate_after": "5m"}],
    },
    "integrations": {"source": "alertmanager", "shards": 2, "team": "platform"},
    "heartbeats": {"interval": "1d", "grace": "30m", "service": "payments"},
}
"""By section of the configuration files."""

SILENCE: Mapping[str, Any] = {
    "matchers": [
        {"name": "service", "value": "payments", "isRegex": False, "isEqual": True},
        {"name": "instance", "value": "pay-[12]", "isRegex": True, "isEqual": True},
    ],
    "startsAt": "2026-03-02T03:00:00Z",
    "endsAt": "2026-03-02T05:00:00Z",
    "createdBy": "ada",
    "comment": "New disks",
}


def json_body(schema: Mapping[str, Any], **examples: Any) -> dict[str, Any]:
    """The OpenAPI description of a JSON body, with examples by name."""
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "examples": shown}}}}
