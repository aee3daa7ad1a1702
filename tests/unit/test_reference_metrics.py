"""The page of metrics leaves none out."""

import re
from pathlib import Path

from compose.reference_metrics import MODULES, metrics_of, metrics_page

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("compose", "domain", "gateway", "projections", "schemas", "streams")
MADE = re.compile(r"^[A-Z_]+ = (?:Counter|CounterMetric|Gauge|Histogram|Summary)\(", re.MULTILINE)


def test_every_module_that_makes_a_metric_is_somebodys() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    making = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): len(MADE.findall(file.read_text()))
        for file in files
        if MADE.search(file.read_text())
    }
    shown = {module: len(list(metrics_of(module))) for modules in MODULES.values() for module in modules}
    assert shown == making, "name the module in compose/reference_metrics.py"


def test_a_metric_is_named_once_with_its_kind_and_labels() -> None:
    page = "\n".join(metrics_page())
    names = re.findall(r"^\| `(tocsin_\w+)`", page, re.MULTILINE)
    assert len(names) == len(set(names)) > 25
    assert "| `tocsin_pages_total` | counter | `method`, `result` | Attempts at pages, by method and result. |" in page
