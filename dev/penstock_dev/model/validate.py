"""The checks the API makes before a model sees a request. Each raises `faults.Rejected` with the API's status."""

from typing import Any, NoReturn

from penstock_dev.model import faults, fields, models, thinking, toolrules, transcript
from penstock_dev.model.models import Model

SAMPLING_PARAMETERS = frozenset({"temperature", "top_p", "top_k"})
MAX_MESSAGES = 100_000
LONGEST_USER_ID = 256


def messages_request(request: Any, *, beta: bool = False) -> Model:
    """Check a request for a message and return the model it is for.

    `beta` takes top-level fields that are not known here: each beta brings its own.
    """
    model = _common(request, fields.MESSAGE, beta=beta)
    _max_tokens(request, model)
    match request.get("thinking"):
        case {"type": "enabled", "budget_tokens": budget} if budget >= request["max_tokens"]:
            _reject("`max_tokens` must be greater than `thinking.budget_tokens`")
    if not isinstance(request.get("stream", False), bool):
        _reject("stream: Input should be a valid boolean")
    _stop_sequences(request.get("stop_sequences", []))
    if request["messages"][-1]["role"] == "assistant" and not model.takes_prefill:
        _reject(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    return model


def count_request(request: Any, *, beta: bool = False) -> Model:
    """Check a request for a count of tokens and return the model it is for."""
    return _common(request, fields.COUNT, beta=beta)


def _common(request: Any, known: frozenset[str], *, beta: bool) -> Model:
    if not isinstance(request, dict):
        _reject("The request body is not a JSON object")
    fields.only(request, known if not beta else known | set(request) - SAMPLING_PARAMETERS)
    model = _model(request.get("model"))
    transcript.check_system(request.get("system"))
    transcript.check(request.get("messages"), MAX_MESSAGES)
    names = toolrules.names(request.get("tools"))
    _tool_choice(request.get("tool_choice"), names, model)
    _thinking(request.get("thinking"), model)
    _output_config(request.get("output_config"))
    _metadata(request.get("metadata"))
    fields.cache_breakpoints(request)
    thinking.check(request, model)
    return model


def prompt_length(tokens: int, model: Model) -> None:
    """Refuse a prompt of more tokens than the model's window holds."""
    if tokens > model.max_input_tokens:
        _reject(f"prompt is too long: {tokens} tokens > {model.max_input_tokens} maximum")


def page_limit(text: str | None) -> int:
    """The `limit` of a list request; 20 when it is not given."""
    if text is None:
        return 20
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        _reject("limit: Input should be an integer from 1 to 1000")
    return int(text)


def seed_request(document: Any) -> int:
    """The seed of a `POST /admin/seed` body."""
    seed = document.get("seed") if isinstance(document, dict) else None
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise faults.Rejected(400, "seed: Input should be a valid integer")
    return seed


def _reject(message: str) -> NoReturn:
    raise faults.Rejected(400, message)


def _model(name: Any) -> Model:
    if not isinstance(name, str) or not name:
        raise faults.Rejected(
            400,
            "model: Field required" if name is None else "model: Input should be a valid string",
        )
    found = models.KNOWN.get(name)
    if found is None:
        raise faults.Rejected(404, f"model: {name}")
    return found


def _max_tokens(request: dict[str, Any], model: Model) -> None:
    if "max_tokens" not in request:
        _reject("max_tokens: Field required")
    value = request["max_tokens"]
    if not isinstance(value, int) or isinstance(value, bool):
        _reject("max_tokens: Input should be a valid integer")
    if value < 1:
        _reject("max_tokens: must be greater than or equal to 1")
    if value > model.max_tokens:
        _reject(
            f"max_tokens: {value} > {model.max_tokens}, which is the maximum allowed number of output tokens for {model.id}"
        )


def _stop_sequences(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        _reject("stop_sequences: Input should be a valid list of strings")
    if any(not each.strip() for each in value):
        _reject("stop_sequences: each stop sequence must contain non-whitespace")


def _tool_choice(choice: Any, names: list[str], model: Model) -> None:
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "any", "tool", "none"):
        _reject("tool_choice: Input should have type 'auto', 'any', 'tool' or 'none'")
    if kind != "none" and not names:
        _reject("tool_choice: may only be specified while providing tools")
    if kind == "tool" and choice.get("name") not in names:
        _reject(f"tool_choice: Tool '{choice.get('name')}' not found in provided tools")
    if kind in ("any", "tool") and model.refuses_forced_tools:
        _reject(f"tool_choice: forced tool use ('{kind}') is not supported on {model.id}")


def _thinking(thinking: Any, model: Model) -> None:
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("adaptive", "between_tools", "disabled", "enabled"):
        _reject(
            "thinking: Input should have type 'adaptive', 'between_tools', 'disabled' or 'enabled'"
        )
    if kind == "disabled" and model.refuses_forced_tools:
        _reject(f"thinking: cannot be disabled on {model.id}")
    if kind == "enabled" and not _at_least(thinking.get("budget_tokens"), 1024):
        _reject("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")


def _metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        _reject("metadata: Input should be a valid object")
    fields.only(metadata, frozenset({"user_id"}), "metadata")
    user = metadata.get("user_id") or ""
    if not isinstance(user, str):
        _reject("metadata.user_id: Input should be a valid string")
    if len(user) > LONGEST_USER_ID:
        _reject(f"metadata.user_id: String should have at most {LONGEST_USER_ID} characters")


def _at_least(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _output_config(config: Any) -> None:
    if config is None:
        return
    if not isinstance(config, dict):
        _reject("output_config: Input should be a valid object")
    for key in config:
        if key not in ("effort", "format"):
            _reject(f"output_config.{key}: Extra inputs are not permitted")
    effort = config.get("effort")
    if effort is not None and effort not in models.EFFORTS:
        _reject(f"output_config.effort: Input should be one of {', '.join(models.EFFORTS)}")
    _output_format(config.get("format"))


def _output_format(output_format: Any) -> None:
    match output_format:
        case None | {"type": "json_schema", "schema": dict()}:
            return
        case _:
            _reject(
                "output_config.format: Input should have type 'json_schema' and a schema object"
            )
