"""How worker pods run: what belongs to a revision, and what acts at once on all of an Agent's."""

from typing import Annotated, Final

from pydantic import Field

from penstock.api.fields import Block, MapList, ObjectName, Rule

_LABEL_VALUE: Final = r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$"
_QUANTITIES: Final = Rule(
    "self.all(k, isQuantity(self[k]) && !quantity(self[k]).isLessThan(quantity('0')))",
    'must be quantities, such as cpu: "1", memory: 512Mi',
)


class Resources(Block):
    """Requests and limits of the worker container, as in a pod."""

    requests: Annotated[
        dict[str, Annotated[str, Field(max_length=32)]] | None,
        _QUANTITIES,
        Field(max_length=8, description="Quantities set aside, e.g. cpu: 500m."),
    ] = None
    limits: Annotated[
        dict[str, Annotated[str, Field(max_length=32)]] | None,
        _QUANTITIES,
        Field(max_length=8, description="Quantities never exceeded, e.g. memory: 2Gi."),
    ] = None


class Toleration(Block):
    """A taint that worker pods tolerate, as in a pod."""

    key: Annotated[str | None, Field(max_length=317, description="Taint key.")] = None
    operator: Annotated[
        str | None,
        Field(max_length=16, pattern="^(Exists|Equal)$", description="Exists or Equal."),
    ] = None
    value: Annotated[str | None, Field(max_length=63, description="Taint value.")] = None
    effect: Annotated[
        str | None,
        Field(
            max_length=32,
            pattern="^(NoSchedule|PreferNoSchedule|NoExecute)$",
            description="NoSchedule, PreferNoSchedule or NoExecute; absent: all of them.",
        ),
    ] = None


class LocalRef(Block):
    """An object in the same namespace."""

    name: Annotated[ObjectName, Field(description="Name of the object.")]


class Worker(Block):
    """How worker pods run; acts at once on all revisions, without a rollout."""

    concurrency: Annotated[
        int, Field(ge=1, le=2000, description="Tasks that one worker runs at the same time.")
    ] = 32
    resources: Annotated[
        Resources, Field(description="Requests and limits of the worker container.")
    ] = Resources()
    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)]],
        Field(max_length=16, description="Labels a node must carry."),
    ] = {}
    tolerations: Annotated[
        list[Toleration], Field(max_length=16, description="Taints that workers tolerate.")
    ] = []
    image_pull_secrets: Annotated[
        list[LocalRef],
        MapList("name"),
        Field(max_length=8, description="Secrets for pulling the image."),
    ] = []
    service_account_name: Annotated[
        str,
        Field(
            max_length=253,
            pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
            description="Service account of the pods; empty: the default.",
        ),
    ] = ""


class EnvVar(Block):
    """An environment variable of the worker."""

    name: Annotated[
        str,
        Field(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Variable name."),
    ]
    value: Annotated[str, Field(max_length=4096, description="Its value; never a secret.")] = ""


class TemplateWorker(Block):
    """What of the worker belongs to a revision."""

    image: Annotated[
        str, Field(max_length=512, description="Worker image; empty: the installation's.")
    ] = ""
    env: Annotated[
        list[EnvVar],
        MapList("name"),
        Field(max_length=32, description="Further environment variables of the worker."),
    ] = []
