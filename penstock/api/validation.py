"""What no schema can say: looked at when an object is reconciled, told in a condition."""

import difflib
import functools
import itertools
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from penstock.api import addresses, fields, mentions, patterns, toolschema
from penstock.api.agent import AgentSpec, Provider
from penstock.api.models import MODELS
from penstock.api.rollout import AgentRolloutSpec
from penstock.errors import InvalidResource
from penstock.money import prices

KIB: Final = 1024
MAX_INPUT_SCHEMA_BYTES: Final = 16 * KIB
#: The record holds the template as declared and with its defaults, and each referenced text
#: twice: 2 x (200 + 256) KiB stay below the 1 MiB that a ConfigMap may have.
MAX_TEMPLATE_BYTES: Final = 200 * KIB
MAX_REFERENCES_BYTES: Final = 256 * KIB

_LONGEST_COMPLAINT: Final = 500  # names inside a schema may be as long as the schema
_LONGEST_NAME: Final = 80

_COMPACT_DATE: Final = re.compile(r"-(\d{4})(\d{2})(\d{2})$")
_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: A reference as container runtimes read it: host, path, tag, digest.
_IMAGE: Final = re.compile(
    r"(?:(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9.-]+(?=:[0-9]+/)|\[[0-9a-fA-F:]+\])"
    r"(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,})?"
)

_Spec = TypeVar("_Spec", bound=fields.Block)


class Reason(StrEnum):
    """Why an Agent is not accepted: the reason of its condition Accepted=False."""

    INVALID = "Invalid"
    TOO_LARGE = "TooLarge"
    INVALID_TOOL = "InvalidTool"
    UNKNOWN_MODEL = "UnknownModel"


@dataclass(frozen=True)
class Problem:
    """Why a template cannot become a revision, and in one sentence what to write instead."""

    reason: Reason
    message: str


def parse_agent(resource: Mapping[str, Any]) -> AgentSpec:
    """The spec of an Agent as the API server stores it.

    Raises:
        InvalidResource: it does not fit this version's schema (an object that was stored before a
            bound was tightened may keep its old value).
    """
    return _parse(AgentSpec, resource)


def parse_rollout(resource: Mapping[str, Any]) -> AgentRolloutSpec:
    """The spec of an AgentRollout as the API server stores it.

    Raises:
        InvalidResource: it does not fit this version's schema.
    """
    return _parse(AgentRolloutSpec, resource)


def _parse(kind: type[_Spec], resource: Mapping[str, Any]) -> _Spec:
    try:
        return kind.model_validate(resource.get("spec", {}))
    except ValidationError as error:
        raise InvalidResource(readable(error, "spec")) from error


def readable(error: ValidationError, root: str) -> str:
    """The first thing wrong as one line: ``spec.scaling.minReplicas is 2000: Input should ...``."""
    first, *others = error.errors(include_url=False, include_context=False)
    where = root
    for part in first["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    if first["type"] == "missing":
        told = f"{where} is missing"
    elif isinstance(first["input"], Mapping | list):
        told = f"{where}: {first['msg']}"
    else:
        told = f"{where} is {_short(first['input'])}: {first['msg']}"
    return told + (f" (and {len(others)} more)" if others else "")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:80]}…"


def template_problem(
    declared: Mapping[str, Any],
    references: Mapping[str, str] | None = None,
    own_prices: prices.Table = prices.EMPTY,
) -> Problem | None:
    """The first reason why a template cannot become a revision; None when it can.

    Whoever serves a revision that was cut before a reason was added goes on serving it.

    Args:
        declared: ``spec.template`` as the API server stores it, of any depth.
        references: content of the ConfigMap keys it refers to.
        own_prices: the installation's own prices.
    """
    tools: list[dict[str, Any]] = declared.get("tools") or []
    texts = references or {}
    found = itertools.chain(
        _wrong_tools(tools),
        _wrong_patterns(declared, tools),
        _wrong_compensations(tools),
        _wrong_sizes(declared, tools, texts),
        _wrong_model(declared.get("model") or {}),
        _wrong_tiers(declared.get("tiers") or []),
        _unknown_model(declared, own_prices),
        _wrong_instructions(declared, texts),
        _wrong_worker(declared.get("worker") or {}),
    )
    return next(found, None)


def _wrong_sizes(
    declared: Mapping[str, Any], tools: list[dict[str, Any]], texts: Mapping[str, str]
) -> Iterator[Problem]:
    if (size := size_bytes(declared)) > MAX_TEMPLATE_BYTES:
        yield Problem(Reason.TOO_LARGE, _too_large(size, tools))
    if (size := size_bytes(texts)) > MAX_REFERENCES_BYTES:
        yield Problem(
            Reason.TOO_LARGE,
            f"the ConfigMap keys that spec.template refers to have {_kib(size)} of "
            f"{_kib(MAX_REFERENCES_BYTES)}: shorten them",
        )


def _too_large(size: int, tools: list[dict[str, Any]]) -> str:
    told = f"spec.template has {_kib(size)} of {_kib(MAX_TEMPLATE_BYTES)}: "
    if tools:
        largest = max(tools, key=size_bytes)
        told += (
            f"shorten schemas and descriptions of its {len(tools)} tools (the largest is "
            f'"{largest.get("name", "")}" with {_kib(size_bytes(largest))}), or '
        )
    return told + "move the instructions into a ConfigMap (instructionsFrom)"


def _wrong_tools(tools: list[dict[str, Any]]) -> Iterator[Problem]:
    names = [str(tool.get("name", "")) for tool in tools]
    for tool, name in zip(tools, names, strict=True):
        told = f'tool "{name[:_LONGEST_NAME]}": '
        for problem in (_wrong_name(name, names), _wrong_schema(tool), _wrong_address(tool)):
            if problem:
                yield Problem(problem.reason, told + problem.message[:_LONGEST_COMPLAINT])


def _wrong_patterns(declared: Mapping[str, Any], tools: list[dict[str, Any]]) -> Iterator[Problem]:
    """Expressions of rules about who must agree: no worker starts with one that it cannot use."""
    for tool in tools:
        name = str(tool.get("name", ""))[:_LONGEST_NAME]
        for place, rule in enumerate((tool.get("approval") or {}).get("rules") or ()):
            if why := _pattern_complaint(rule.get("pattern"), "{}"):
                told = f'tool "{name}": approval.rules[{place}].pattern cannot be used: {why}'
                yield Problem(Reason.INVALID_TOOL, told[:_LONGEST_COMPLAINT])
    for place, rule in enumerate((declared.get("oversight") or {}).get("rules") or ()):
        if why := _pattern_complaint(rule.get("toolPattern"), "^(?:{})$"):
            told = f"spec.template.oversight.rules[{place}].toolPattern cannot be used: {why}"
            yield Problem(Reason.INVALID, told[:_LONGEST_COMPLAINT])


def _wrong_compensations(tools: list[dict[str, Any]]) -> Iterator[Problem]:
    for name, told in mentions.undone_by_nobody(tools):
        words = f'tool "{name[:_LONGEST_NAME]}": {told}'
        yield Problem(Reason.INVALID_TOOL, words[:_LONGEST_COMPLAINT])


def _pattern_complaint(pattern: Any, compiled: str) -> str | None:
    """Why an expression cannot be used, by itself or as a worker compiles it."""
    if not isinstance(pattern, str):
        return None
    return patterns.complaint(pattern) or patterns.complaint(compiled.replace("{}", pattern))


def _wrong_name(name: str, names: list[str]) -> Problem | None:
    if not _TOOL_NAME.fullmatch(name):
        told = "the model's API takes names of 1 to 64 letters, digits, _ and -: rename it"
        return Problem(Reason.INVALID_TOOL, told)
    if names.count(name) > 1:
        told = "there is another one of this name, and the model's API takes each once: rename it"
        return Problem(Reason.INVALID_TOOL, told)
    return None


def _wrong_schema(tool: Mapping[str, Any]) -> Problem | None:
    schema = tool.get("inputSchema", {})
    if toolschema.deeper_than(schema, toolschema.MAX_DEPTH):
        told = toolschema.complaint(schema)  # no text is made of what may have no end
    elif (size := size_bytes(schema)) > MAX_INPUT_SCHEMA_BYTES:
        return Problem(
            Reason.TOO_LARGE,
            f"inputSchema has {_kib(size)} of {_kib(MAX_INPUT_SCHEMA_BYTES)}: "
            "shorten its descriptions or make several tools of it",
        )
    else:
        told = _schema_complaint(json.dumps(schema))
    return Problem(Reason.INVALID_TOOL, told) if told else None


@functools.lru_cache(maxsize=512)  # of at most 16 KiB each; the same ones are seen at each pass
def _schema_complaint(text: str) -> str | None:
    schema = json.loads(text)
    return toolschema.complaint(schema) or toolschema.excess(schema)


def _wrong_address(tool: Mapping[str, Any]) -> Problem | None:
    told = addresses.complaint((tool.get("http") or {}).get("url", ""))
    return Problem(Reason.INVALID_TOOL, f"http.url {told}") if told else None


def _unknown_model(declared: Mapping[str, Any], own_prices: prices.Table) -> Iterator[Problem]:
    """A name that nobody knows a price for: no worker of our image would start, wherever it asks.

    An image of one's own may have a price table of its own.
    """
    worker = declared.get("worker") or {}
    if worker.get("image"):
        return
    for field, model in itertools.chain(_asked(declared.get("model") or {}), _tiers(declared)):
        known = MODELS.get(model.get("provider", Provider.ANTHROPIC.value))
        name = str(model.get("name", ""))
        if not known or not name:
            continue
        if model.get("price") or own_prices.entry(name).price or _has_list_price(name, known):
            continue
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.0)[0]
        tell = _no_price_of_tier if field.startswith("tiers") else _no_price
        told = tell(field, name[:_LONGEST_NAME], near, model.get("baseURL"))
        yield Problem(Reason.UNKNOWN_MODEL, told)


def _asked(model: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The model and those that stand in for it, each with its field of spec.template."""
    yield "model", model
    for index, entry in enumerate(model.get("fallbacks") or ()):
        yield f"model.fallbacks[{index}]", entry


def _tiers(declared: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The model of each tier, as it is asked."""
    own = declared.get("model") or {}
    for index, tier in enumerate(declared.get("tiers") or ()):
        asked = {**own, "name": tier.get("model", "")}
        same = asked["name"] == own.get("name")
        yield f"tiers[{index}]", asked if same else {**asked, "price": None}


def _has_list_price(name: str, known: Mapping[str, str]) -> bool:
    written = {name.lower(), _COMPACT_DATE.sub(r"-\1-\2-\3", name.lower())}
    return any(re.search(pattern, text) for pattern in known.values() for text in written)


def _no_price(field: str, name: str, near: str, base_url: str | None) -> str:
    where = f"spec.template.{field}"
    if base_url:  # what its endpoint calls a model may be right, and has no price all the same
        return (
            f'no price is known for model "{name}" of {where}.baseURL, so its cost limit '
            f"cannot be kept: declare {where}.price, or have prices of the chart name it "
            f"(the nearest name with a list price is {near})"
        )
    return (
        f'no model "{name}" is known here, so its cost limit cannot be kept; the nearest name is '
        f"{near}: check {where}.name, declare {where}.price, or have prices of the chart name it"
    )


def _no_price_of_tier(field: str, name: str, near: str, _base_url: str | None) -> str:
    return (
        f'no price is known for model "{name}" of spec.template.{field}, so its cost limit cannot be '
        f"kept; the nearest name with a list price is {near}: check its model, or have prices of the "
        "chart name it"
    )


def _wrong_tiers(tiers: list[Mapping[str, Any]]) -> Iterator[Problem]:
    for index, tier in enumerate(tiers):
        yield from _wrong_id(f"tiers[{index}].model", tier.get("model", ""))


def _wrong_model(model: Mapping[str, Any]) -> Iterator[Problem]:
    for field, asked in _asked(model):
        yield from _wrong_entry(field, asked)


def _wrong_entry(field: str, asked: Mapping[str, Any]) -> Iterator[Problem]:
    if (url := asked.get("baseURL")) and (
        complaint := addresses.complaint(url, query_allowed=False)
    ):
        yield _invalid(f"{field}.baseURL {complaint}")
    yield from _wrong_id(f"{field}.name", asked.get("name", ""))
    if complaint := _wrong_key((asked.get("credentialsSecretRef") or {}).get("key", "key")):
        yield _invalid(f"{field}.credentialsSecretRef.key {complaint}")


def _wrong_id(field: str, name: str) -> Iterator[Problem]:
    if any(unicodedata.category(character)[0] in "CZ" for character in name):
        yield _invalid(f"{field} {_short(name)} has a space or control character: take it out")


def _wrong_key(key: str) -> str | None:
    """Keys of Secrets and ConfigMaps are names of files where they are mounted."""
    if key == "." or key.startswith(".."):
        return f"is {_short(key)}, which no Secret or ConfigMap can hold: name a key"
    return None


def _wrong_instructions(declared: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[Problem]:
    for where, text in (("instructions", declared.get("instructions")), *texts.items()):
        if text is not None and not text.strip():
            yield _invalid(f"{where}: the model's API takes no blank prompt: say what to do")


def _wrong_worker(worker: Mapping[str, Any]) -> Iterator[Problem]:
    image = worker.get("image", "")
    if image and not _IMAGE.fullmatch(image):
        yield _invalid(
            f"worker.image {_short(image)} is no image: write registry/path:tag or "
            "registry/path@sha256:digest, the path in small letters"
        )
    for variable in worker.get("env") or []:
        if "\0" in variable.get("value", ""):
            yield _invalid(
                f"worker.env {variable['name']} has the character U+0000, which no environment "
                "can hold: take it out"
            )


def _invalid(message: str) -> Problem:
    return Problem(Reason.INVALID, f"spec.template.{message}")


def size_bytes(value: Any) -> int:
    """Size as compact JSON in UTF-8, which is how revisions are kept."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _kib(size: int) -> str:
    return f"{size / KIB:.1f} KiB"
