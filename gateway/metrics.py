"""What the gateway counts. Labels hold route templates and configured names only, never what a client made up.

The names in small letters give the child of a metric for its label values, which takes long to find the first time.
"""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("tocsin_http_requests_total", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "tocsin_http_request_seconds",
    "Time from a request's head to the end of its answer.",
    ["method", "route"],
    buckets=SECONDS,
)
ALERTS = Counter("tocsin_webhook_alerts_total", "Alerts made durable.", ["integration", "source"])
REJECTED = Counter(
    "tocsin_webhook_rejected_total", "Members of webhooks that could not be alerts.", ["integration", "source"]
)
PRODUCE_SECONDS = Histogram(
    "tocsin_produce_seconds", "Time until a receipt was durable, or was not.", ["result"], buckets=SECONDS
)
KEPT = Counter("tocsin_intake_receipts_total", "Receipts by what kept them: kafka, inbox or nowhere.", ["where"])
BREAKER = Gauge("tocsin_intake_breaker_open", "1 while webhooks do not wait for Kafka and go to the inbox.")
LAG_SECONDS = Gauge("tocsin_lag_seconds", "For how long at least the oldest work that waits has waited.", ["role"])
LAG_ITEMS = Gauge("tocsin_lag_items", "Receipts, events or rows that wait for a role.", ["role"])
STANDING_SECONDS = Gauge("tocsin_lag_standing_seconds", "For how long a role has not moved while work waits.", ["role"])

requests, request_seconds = cache(REQUESTS.labels), cache(REQUEST_SECONDS.labels)
alerts, produce_seconds, kept = cache(ALERTS.labels), cache(PRODUCE_SECONDS.labels), cache(KEPT.labels)
