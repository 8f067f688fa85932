"""The reference pages that are made from the code: the fields of the resources, and the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from prometheus_client.metrics import MetricWrapperBase

import penstock_operator.metrics
import penstock_runtime.gateway.metrics
import penstock_runtime.instrumentation

HEADER = "<!-- Generated from the code by `make generate`. Do not edit. -->\n"
PROCESSES: Mapping[str, ModuleType] = {
    "Operator": penstock_operator.metrics,
    "Gateway": penstock_runtime.gateway.metrics,
    "Worker": penstock_runtime.instrumentation,
}
BOUNDS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "pattern": "matches `{}`",
}

Schema = Mapping[str, Any]


def cell(text: str) -> str:
    """Text that can stand in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: list[str], rows: Iterator[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines) + "\n"


# ----------------------------------------------------------------------------------- metrics


def metric_row(metric: MetricWrapperBase) -> list[str]:
    """Name as it is scraped, kind, labels and meaning of one metric."""
    described = next(iter(metric.describe()))
    suffix = "_total" if described.type == "counter" else ""
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - no public name
    return [f"`{described.name}{suffix}`", described.type, labels or "–", described.documentation]


def metrics_of(module: ModuleType) -> Iterator[list[str]]:
    """A row for each metric that a module defines, in the order in which it does."""
    for value in vars(module).values():
        if isinstance(value, MetricWrapperBase):
            yield metric_row(value)


def metrics_page() -> str:
    """docs/reference/metrics.md: every metric of every process."""
    sections = [
        f"## {process}\n\n{table(['metric', 'kind', 'labels', 'meaning'], metrics_of(module))}"
        for process, module in PROCESSES.items()
    ]
    return HEADER + "\n".join(["# Metrics\n", *sections])


# ---------------------------------------------------------------------------------- resources


def type_of(schema: Schema) -> str:
    """The type of a field in one word or two."""
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    match schema:
        case {"type": "array", "items": items}:
            return f"list of {type_of(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"map to {type_of(values)}"
        case {"x-kubernetes-int-or-string": True}:
            return "integer or string"
    return str(schema.get("type", "any"))


def bounds_in_words(schema: Schema) -> list[str]:
    """Each bound of a value as words."""
    words = [text.format(schema[key]) for key, text in BOUNDS.items() if key in schema]
    return [{"at least 1 characters": "not empty"}.get(text, text) for text in words]


def bounds_of(schema: Schema) -> str:
    """What a value must keep to, and for a list what each item must."""
    items = schema.get("items", {}) if schema.get("type") == "array" else {}
    words = bounds_in_words(schema) + [f"each {text}" for text in bounds_in_words(items)]
    return "; ".join(words) or "–"


def fields(schema: Schema, path: str) -> Iterator[list[str]]:
    """A row for each field under a path, a block before its own fields."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        kind = type_of(field) + (", required" if name in required else "")
        yield [f"`{here}`", kind, bounds_of(field), field.get("description", "")]
        if field.get("type") == "array":
            yield from fields(field["items"], f"{here}[]")
        else:
            yield from fields(field, here)


def rules(schema: Schema, path: str) -> Iterator[list[str]]:
    """A row for each rule between fields, with what a person reads when it is broken."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield [f"`{path}`" if path else "the resource", rule.get("message", "")]
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield from rules(field, here)
        yield from rules(field.get("items", {}), f"{here}[]")


def resource_page(definition: Schema) -> str:
    """The reference page of one custom resource."""
    root = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    heads = ["field", "type", "bounds", "meaning"]
    parts = [f"# {definition['spec']['names']['kind']}\n", f"{cell(root['description'])}\n"]
    for part in ("spec", "status"):
        parts += [f"## {part}\n", table(heads, fields(root["properties"][part], part))]
    parts += ["## Rules between fields\n", table(["where", "rule"], rules(root, ""))]
    return HEADER + "\n".join(parts)
