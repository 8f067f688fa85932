"""When a person must decide on a call, who may, and what holds when nobody does."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block, MapList, Rule

Group = Annotated[str, Field(min_length=1, max_length=253)]
_Name = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")
]
_Pattern = Annotated[str, Field(min_length=1, max_length=512)]


class ApprovalMode(StrEnum):
    """When a person must agree before a tool runs."""

    NONE = "None"
    ALWAYS = "Always"
    WHEN = "When"


class OnTimeout(StrEnum):
    """What holds of a call when nobody has decided in time."""

    DENY = "Deny"
    APPROVE = "Approve"


class OnDeny(StrEnum):
    """What follows where a call is denied, by a person or by time."""

    TELL = "Tell"
    ESCALATE = "Escalate"


class SignIn(StrEnum):
    """How a person who decides must show who he is; absent: by any token, or by a link."""

    REQUIRED = "Required"


class Remember(StrEnum):
    """Whether a person may approve further calls together with one."""

    NEVER = "Never"
    SESSION = "Session"


class Sensitive(StrEnum):
    """A kind of data that is known by its shape."""

    EMAIL = "Email"
    PHONE = "Phone"
    CREDIT_CARD = "CreditCard"
    SSN = "SSN"
    IBAN = "IBAN"
    API_KEY = "APIKey"


# Whose word a call takes that a rule asks about, and how far it goes: the same of each kind of rule.
Approvers = Annotated[
    list[Group],
    Field(
        max_length=16,
        description="Groups, of one of which a person must be to decide; none: whoever may approve.",
    ),
]
MinApprovals = Annotated[
    int, Field(ge=1, le=2, description="How many different persons must approve.")
]
SignInAsked = Annotated[
    SignIn | None,
    Field(
        description="Required: whoever decides shows a token of the cluster; a link and a static token are none."
    ),
]
Remembering = Annotated[
    Remember,
    Field(
        description="Session: who approves a call may choose that further calls of the tool in the same session, "
        "of the same revision, for which the same rules ask are made without asking: of at most the amount that he "
        "approved, and of the same kinds of sensitive data."
    ),
]


class ApprovalRule(Block):
    """A rule about one argument: where it fits, a person must agree."""

    argument: Annotated[
        str,
        Field(
            min_length=1,
            max_length=256,
            description="The argument that is looked at; a dot leads into an object. Where it is absent, "
            "or cannot be compared, a person is asked.",
        ),
    ]
    above: Annotated[
        str | None,
        Field(
            max_length=40,
            pattern=r"^-?[0-9]+(\.[0-9]+)?$",
            description="A person is asked where the argument is a larger number; a decimal string.",
        ),
    ] = None
    contains: Annotated[
        str | None,
        Field(
            min_length=1, max_length=256, description="… where the argument's text holds this text."
        ),
    ] = None
    pattern: Annotated[
        _Pattern | None,
        Field(description="… where a part of the argument's text fits this regular expression."),
    ] = None
    approvers: Approvers = []
    min_approvals: MinApprovals = 1
    sign_in: SignInAsked = None
    remember: Remembering = Remember.NEVER


ONE_CONDITION: Final = Rule(
    "(has(self.above) ? 1 : 0) + (has(self.contains) ? 1 : 0) + (has(self.pattern) ? 1 : 0) == 1",
    "exactly one of above, contains and pattern must be set",
)
WHEN_HAS_RULES: Final = Rule(
    "self.mode != 'When' || (has(self.rules) && size(self.rules) > 0)",
    "mode When takes at least one rule",
)
RULES_GO_WITH_WHEN: Final = Rule(
    "self.mode == 'When' || !has(self.rules) || size(self.rules) == 0",
    "rules go with mode When alone",
)


class Approval(Block):
    """When a person must agree before the tool runs."""

    mode: Annotated[
        ApprovalMode,
        Field(
            description="None: never. Always: the call waits for a person. When: as the rules say."
        ),
    ]
    rules: Annotated[
        list[Annotated[ApprovalRule, ONE_CONDITION]],
        Field(
            max_length=16, description="With mode When: a person is asked where one of them fits."
        ),
    ] = []


NAMES_SOMETHING: Final = Rule(
    "has(self.toolPattern) || (has(self.contains) && size(self.contains) > 0)",
    "toolPattern or contains must be set",
)


class OversightRule(Block):
    """A rule about calls of any tool, by its name and by what the arguments hold: a person must agree."""

    name: Annotated[_Name, Field(description="What the rule is called in the escalation.")]
    tool_pattern: Annotated[
        _Pattern | None,
        Field(
            description="A regular expression that the whole name of a tool fits. Absent: of all tools."
        ),
    ] = None
    contains: Annotated[
        list[Sensitive],
        Field(
            max_length=6,
            description="Kinds of sensitive data, known by their shape: only calls whose arguments hold one "
            "of them. Absent: all calls. Such a question is unplanned, and counts in the escalation rate.",
        ),
    ] = []
    approvers: Approvers = []
    min_approvals: MinApprovals = 1
    sign_in: SignInAsked = None
    remember: Remembering = Remember.NEVER


class Oversight(Block):
    """When a person must decide, and what holds when nobody does."""

    rules: Annotated[
        list[Annotated[OversightRule, NAMES_SOMETHING]],
        MapList("name"),
        Field(
            max_length=16,
            description="Calls that a person must approve, whatever their tools declare.",
        ),
    ] = []
    timeout_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=604_800,
            description="How long a call waits for a person, in seconds; at most 7 days.",
        ),
    ] = 3600
    on_timeout: Annotated[
        OnTimeout,
        Field(
            description="Deny: the model is told that nobody decided. Approve: the call is made."
        ),
    ] = OnTimeout.DENY
    on_deny: Annotated[
        OnDeny,
        Field(
            description="Tell: the model hears why, and goes on. Escalate: the task ends, as Escalated with "
            "the reason Approval. By a person or by time."
        ),
    ] = OnDeny.TELL
    handover: Annotated[
        bool,
        Field(
            description="Offers the model a tool of its own, escalate {reason}, with which it asks for a "
            "person; the person's answer is what it reads. Default: it has none. Such a question is "
            "unplanned, and counts in the escalation rate."
        ),
    ] = False


#: The name of the tool with which the model itself asks for a person.
HANDOVER: Final = "escalate"
