"""The page of metrics, from the metrics themselves: name, kind, labels, help, and which role has them."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from prometheus_client.metrics import MetricWrapperBase

PAGE = """\
Every role serves `/metrics` and `/healthz` on the port `TOCSIN_METRICS_PORT` of `TOCSIN_METRICS_HOST`
([settings](settings.md)), the gateway also on its own: there for peers on its machine and for viewers' keys
([how to watch Tocsin](../how-to/watch-tocsin.md)). With `tocsin up` each has a port; `tocsin status` and `run.json`
tell which. Beside these are the usual `process_...` and `python_...`.

Labels hold names that somebody configured, words of a closed list or templates of routes, nothing that a sender makes
up. A histogram also has `_bucket`, `_sum` and `_count`."""

MODULES: Mapping[str, tuple[str, ...]] = {
    "gateway": (
        "gateway.metrics",
        "gateway.outgoing",
    ),
    "worker": ("streams.worker", "streams.fold", "streams.inbox", "streams.expiry", "streams.feeding"),
    "pager": (
        "streams.pager",
        "streams.heartbeating",
        "streams.reviewing",
    ),
    "projector": ("projections.runner", "streams.relay", "streams.sealer", "streams.pruning"),
    "worker and pager": ("streams.suppressed",),
    "gateway and pager": ("streams.notices",),
    "every role": ("gateway.protocol",),
}
"""Where each role's metrics are. A test finds modules that are not named here."""


def metrics_page() -> Iterator[str]:
    """A table per role."""
    yield from ("# Metrics", "", PAGE)
    for role, modules in MODULES.items():
        title = f"{role[:1].upper()}{role[1:]}"
        yield from ("", f"## {title}", "", "| name | kind | labels | |", "|---|---|---|---|")
        for module in modules:
            yield from map(_row, metrics_of(module))


def metrics_of(module: str) -> Iterator[MetricWrapperBase]:
    """The metrics that a module defines, in its order."""
    for value in vars(import_module(module)).values():
        if isinstance(value, MetricWrapperBase):
            yield value


def _row(metric: MetricWrapperBase) -> str:
    [described] = metric.describe()
    name = f"{described.name}_total" if described.type == "counter" else described.name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # there is no other way to ask
    return f"| `{name}` | {described.type} | {labels} | {described.documentation} |"
