"""What the gateway counts. Labels hold route templates and configured names only, never what a client made up."""

from prometheus_client import Counter, Histogram

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
    "tocsin_produce_seconds", "Time until Kafka acknowledged a receipt, or did not.", ["result"], buckets=SECONDS
)
