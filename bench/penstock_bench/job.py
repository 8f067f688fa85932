"""The work that all loops do: what is asked, with which tool, and what it answers. No imports: peers read it too."""

MODEL = "claude-haiku-5-5"
QUESTION = "Where is my order?"
MODEL_CALLS = 10
TOOL_CALLS = MODEL_CALLS - 1
SYSTEM = f"You answer Acme's customers. #bench tools={TOOL_CALLS}"
TOOL = {
    "name": "lookup",
    "description": "Looks up an order.",
    "input_schema": {
        "type": "object",
        "properties": {"order": {"type": "string"}},
        "required": ["order"],
    },
}
ANSWER = '{"status":"shipped","carrier":"DHL","eta":"tomorrow"}'
OUTPUT = "It is on its way. "  # of a model inside of the process, that costs nothing
NOWHERE = "http://127.0.0.1:9"  # the address of a model that is inside, or is never asked
