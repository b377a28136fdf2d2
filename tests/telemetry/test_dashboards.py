"""The dashboard, the alerts and the documentation name what there is: each metric, label and value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from prometheus_client import generate_latest
from ruamel.yaml import YAML

from app.core import errors, metrics
from app.core.metrics import CATALOGUE, Kind, Metric
from app.core.rejections import CLASSES, OTHER, reason_class
from app.telemetry.prometheus import PrometheusMeter
from tests.telemetry.observing import samples_of

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "memory-r1.json"
PROMETHEUS = ROOT / "deploy" / "prometheus"
OF_PROMETHEUS = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
ADDED = {"job", "instance", "le"}
"""Labels that Prometheus adds."""


def read_yaml(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(path.read_text())
    return loaded


def expressions() -> dict[str, str]:
    """Every query, by what it is for."""
    found: dict[str, str] = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"].replace("$__rate_interval", "5m")
    for group in read_yaml(PROMETHEUS / "alerts.yml")["groups"]:
        found |= {rule["alert"]: rule["expr"] for rule in group["rules"]}
    return found


def parts(node: Any) -> Iterator[Any]:
    """An expression and all inside of it."""
    yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        inner = getattr(node, name, None)
        if inner is not None and not isinstance(inner, str):
            yield from parts(inner)
    for argument in getattr(node, "args", None) or []:
        yield from parts(argument)


def series() -> dict[str, Metric]:
    """The metric that each name of a sample belongs to."""
    found: dict[str, Metric] = {}
    for metric in CATALOGUE:
        endings = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {metric.name + ending: metric for ending in endings}
    return found


@pytest.mark.parametrize("name", sorted(expressions()))
def test_a_query_names_what_there_is(name: str) -> None:
    known = series()
    for part in parts(promql_parser.parse(expressions()[name])):
        labels = set(getattr(getattr(part, "modifier", None), "labels", None) or [])
        if isinstance(part, promql_parser.VectorSelector):
            assert part.name in known or part.name in OF_PROMETHEUS, part.name
            if part.name in known:
                allowed = {*known[part.name].labels, *ADDED}
                assert {matcher.name for matcher in part.matchers.matchers} <= allowed
        elif isinstance(part, promql_parser.AggregateExpr) and labels:
            inner = [
                known[p.name] for p in parts(part) if isinstance(p, promql_parser.VectorSelector) and p.name in known
            ]
            assert all(labels <= {*metric.labels, *ADDED} for metric in inner), labels


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(json.dumps(panel.get("targets")) for panel in json.loads(DASHBOARD.read_text())["panels"])
    assert [metric.name for metric in CATALOGUE if metric.name not in shown] == []


def test_the_service_shows_every_metric_of_the_catalogue() -> None:
    meter = PrometheusMeter()
    for metric in CATALOGUE:
        labels = tuple("x" for _ in metric.labels)
        if metric.kind is Kind.COUNTER:
            meter.count(metric, *labels)
        elif metric.kind is Kind.HISTOGRAM:
            meter.observe(metric, 1.0, *labels)
    shown = samples_of(generate_latest(meter.registry).decode()).keys()
    of_gauges = {metric.name for metric in CATALOGUE if metric.kind is Kind.GAUGE}
    assert series().keys() - of_gauges <= shown
    assert OF_PROMETHEUS - {"up"} <= shown


def test_alerts_name_errors_that_there_are() -> None:
    expression = expressions()["MemoryR1ModelAway"]
    for name in ("ModelUnreachable", "ModelTimedOut"):
        assert name in expression and issubclass(getattr(errors, name), errors.ModelError)
    assert ("failed",) in metrics.TURNS_FINISHED.known


def test_panels_are_in_their_places() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x + place["x"], y + place["y"]) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_prometheus_scrapes_the_port_that_the_compose_file_sets() -> None:
    jobs = read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]
    (found,) = [one for job in jobs if job["job_name"] == "memory-r1" for one in job["dns_sd_configs"]]
    composed = read_yaml(ROOT / "docker-compose.yml")
    assert set(found["names"]) <= composed["services"].keys()
    assert str(composed["x-environment"]["MEMORY_R1_TELEMETRY__METRICS_PORT"]) == str(found["port"])


def metric_rows() -> list[str]:
    """The table of the documentation, from the catalogue."""
    rows = []
    for metric in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |")
    return rows


def test_the_documentation_lists_every_metric_and_no_other() -> None:
    written = (ROOT / "docs" / "telemetry.md").read_text().splitlines()
    assert [line for line in written if line.startswith("| `memory_r1_")] == metric_rows()
    for reason in CLASSES:
        assert any(f"`{reason}`" in line for line in written), reason


REASONS = {
    "no such memory was shown": "not_shown",
    "no memory that was shown says it": "nothing_known",
    "the memory was changed by this turn already": "changed_twice",
    "the fact does not speak of a change": "no_change_told",
    "the fact speaks of something else": "other_subject",
    "the text is empty": "empty",
    "the text is longer than 1000 characters": "too_long",
    "it repeats itself": "repeats_itself",
    "'Rex' is neither in the memory nor in the fact": "invented",
    "most of its words are neither in the memory nor in the fact": "invented",
    "it would lose Rex, 7": "loses",
    "it says nothing of what is new in the fact": "nothing_new",
    "something new": OTHER,
}


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_have_a_class(reason: str) -> None:
    assert reason_class(reason) == REASONS[reason]
    assert reason_class(None) == OTHER


def test_every_reason_of_the_plan_has_a_class() -> None:
    """What the code can say, as it is written there; a new reason is to be added here and to the classes."""
    assert set(REASONS.values()) == set(CLASSES)
    for reason, name in REASONS.items():
        if name != OTHER:
            anchor = reason.split("'")[-1].replace("1000", "{MAX_MEMORY_LENGTH}").replace("Rex, 7", "").strip()
            source = (ROOT / "app/core/changes.py").read_text() + (ROOT / "app/core/grounding.py").read_text()
            assert anchor in source, anchor
