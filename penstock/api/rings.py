"""Who goes first, by name: rings of users as they are declared, and as they were given a canary."""

from typing import Annotated, Final

from pydantic import Field

from penstock import rings
from penstock.api.fields import Block, MapList, Rule, Timestamp

MOST_RINGS: Final = 8
MOST_USERS: Final = 500
MOST_TENANTS: Final = 50
#: So many rings, and so many names of one, are kept of a canary while people edit them.
MOST_GIVEN: Final = 16
MOST_MEMBERS: Final = 1000

_RingName = Annotated[
    str, Field(min_length=1, max_length=32, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
_Named = Annotated[str, Field(min_length=1, max_length=256)]


class Ring(Block):
    """Some users or tenants who get a canary before the percentage counts."""

    name: Annotated[_RingName, Field(description="Name of the ring.")]
    users: Annotated[
        tuple[_Named, ...],
        Field(max_length=MOST_USERS, description="Users, as tasks name them in `user`."),
    ] = ()
    tenants: Annotated[
        tuple[_Named, ...],
        Field(max_length=MOST_TENANTS, description="Tenants: all users of theirs."),
    ] = ()
    hold_seconds: Annotated[
        int, Field(ge=0, le=2592000, description="Shortest stay in this ring, in seconds.")
    ] = 3600
    min_tasks: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Tasks on the canary, of this ring's users and of those before it, that must have "
            "ended since the ring was opened.",
        ),
    ] = 20


DeclaredRings = Annotated[
    tuple[
        Annotated[
            Ring,
            Rule(
                "(has(self.users) && size(self.users) > 0) || (has(self.tenants) && size(self.tenants) > 0)",
                "a ring needs a user or a tenant",
            ),
        ],
        ...,
    ]
    | None,
    MapList("name"),
    Field(
        max_length=MOST_RINGS,
        description="Who goes first, ring by ring, before the percentage counts. Their new sessions get the "
        "canary and keep it. What they see is judged by guardrails, caps and harm alone, and never enters "
        "the comparison. A setpoint above 0 ends the stage. Absent: it begins with the first step.",
    ),
]


class GivenRing(Block):
    """A ring whose users are given the canary."""

    name: Annotated[str, Field(max_length=32, description="Name of the ring.")]
    at: Annotated[Timestamp, Field(description="When its hold began.")]
    members: Annotated[
        str,
        Field(
            max_length=MOST_MEMBERS * rings.DIGITS,
            description="Digests of its users and tenants, with the salt: who was given the canary keeps it, "
            "whatever the ring is edited to.",
        ),
    ]


DIGEST_DIGITS: Final = 16
#: In the status of an AgentRollout.
RingsRefused = Annotated[
    str,
    Field(
        max_length=DIGEST_DIGITS,
        description="Who is declared in a ring and is not given this canary, as a digest: it is told once.",
    ),
]
GivenRings = Annotated[
    tuple[GivenRing, ...],
    MapList("name"),
    Field(
        max_length=MOST_GIVEN,
        description="The rings that were given this canary, in their order; the last one is the present one.",
    ),
]
