"""What a gateway is told by its environment, read once when it starts."""

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    Field,
    FilePath,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from penstock import errors
from penstock_runtime.gateway import apiserver, places
from penstock_runtime.gateway.links import Links
from penstock_runtime.gateway.webhooks import targets
from penstock_store.scripts import Retention

_PREFIX: Final = "PENSTOCK_"
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where a pod has its own


class GatewaySettings(BaseSettings):
    """Everything a gateway is told: one variable ``PENSTOCK_<NAME>`` for each field."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, env_ignore_empty=True)

    redis_url: str
    redis_ca_file: FilePath | None = None  # certificates (PEM) by which a rediss:// one is known
    tokens_file: Path | None = None  # static tokens
    listen: str = "127.0.0.1:8080"  # host:port; an IPv6 host in brackets; port 0: any free one
    installation: str = "penstock"
    log_level: str = "INFO"

    metrics_listen: str = ""  # of /metrics and the probes; empty: /metrics is on ``listen``

    max_connections: Annotated[int, Field(ge=1, le=65_536)] = 4096
    max_connections_per_address: Annotated[int, Field(ge=1, le=65_536)] = 2048
    streams_per_caller: Annotated[int, Field(ge=1)] = places.STREAMS_PER_CALLER
    waits_per_caller: Annotated[int, Field(ge=1)] = places.WAITS_PER_CALLER
    ended_task_seconds: Annotated[int, Field(ge=1)] = Retention().ended_task_seconds
    idempotency_seconds: Annotated[int, Field(ge=1)] = Retention().idempotency_seconds
    effects_seconds: Annotated[int, Field(ge=1)] = Retention().effect_seconds
    evidence_seconds: Annotated[int, Field(ge=0)] = Retention().evidence_seconds
    evidence_rows: Annotated[int, Field(ge=1)] = Retention().evidence_rows

    kubernetes_auth: bool = False  # whether tokens of the cluster are reviewed
    # Comma-separated; a token must be meant for one of them.
    token_audiences: str = "penstock"  # noqa: S105
    review_seconds: Annotated[float, Field(ge=0, le=60)] = 30.0  # how long a review is remembered
    kubernetes_url: Annotated[str, Field(pattern=r"^(https://.+)?$")] = ""  # empty: the pod's own
    kubernetes_ca_file: Path = _ACCOUNT / "ca.crt"
    kubernetes_token_file: Path = _ACCOUNT / "token"
    service_host: Annotated[str, Field(validation_alias="KUBERNETES_SERVICE_HOST")] = ""
    service_port: Annotated[str, Field(validation_alias="KUBERNETES_SERVICE_PORT")] = "443"

    webhooks: str = ""  # those that are told of escalations, by name, as JSON; empty: none
    links_url: str = ""  # where people reach the gateway; empty: no links are made
    links_secret: Path | None = None  # the folder with the key by which links are signed
    links_seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400  # how long a link is good

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _host_and_port(cls, value: str, told: ValidationInfo) -> str:
        if told.field_name == "metrics_listen" and not value:
            return value
        host, colon, port = value.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 65536):
            raise ValueError(f"must be host:port, for example 0.0.0.0:8080; it is {value!r}")
        return value

    @model_validator(mode="after")
    def _somebody_may_call(self) -> Self:
        if self.tokens_file is None and not self.kubernetes_auth:
            raise ValueError(
                "nobody could call this gateway: give it static tokens (PENSTOCK_TOKENS_FILE) or "
                "let it accept tokens of the cluster (PENSTOCK_KUBERNETES_AUTH=true), or both"
            )
        if self.kubernetes_auth and not (self.kubernetes_url or self.service_host):
            raise ValueError(
                "PENSTOCK_KUBERNETES_AUTH is on, but this is no pod of a cluster "
                "(KUBERNETES_SERVICE_HOST is not set), and PENSTOCK_KUBERNETES_URL is empty"
            )
        if self.kubernetes_auth and not self.audiences:
            raise ValueError("PENSTOCK_TOKEN_AUDIENCES names no audience")
        return self

    @model_validator(mode="after")
    def _links_can_be_opened(self) -> Self:
        named = [name for name, target in self.targets.items() if target.approver]
        if named and not self.links_url:
            raise ValueError(
                f"webhook {named[0]} names an approver, and PENSTOCK_LINKS_URL is empty"
            )
        if self.links_url:
            targets.check_scheme(self.links_url)
            if self.links_secret is None:
                raise ValueError("PENSTOCK_LINKS_SECRET must say where the key of links is")
            if not self.kubernetes_auth:
                raise ValueError(
                    "what the person of a link may do is asked of the cluster: links need "
                    "PENSTOCK_KUBERNETES_AUTH=true"
                )
        return self

    @property
    def targets(self) -> targets.Targets:
        """The webhooks by name.

        Raises:
            InvalidResource: they cannot be used.
        """
        return targets.read(self.webhooks)

    @property
    def links(self) -> Links | None:
        """What makes links and opens them; None: there are none."""
        if not self.links_url or self.links_secret is None:
            return None
        return Links(self.links_url, self.links_secret, self.links_seconds)

    @property
    def audiences(self) -> tuple[str, ...]:
        """What a token of the cluster must be meant for, one of them."""
        return tuple(part.strip() for part in self.token_audiences.split(",") if part.strip())

    @property
    def api_server(self) -> apiserver.Place | None:
        """Where tokens of the cluster are reviewed; None: nowhere."""
        if not self.kubernetes_auth:
            return None
        host = f"[{self.service_host}]" if ":" in self.service_host else self.service_host
        url = self.kubernetes_url or f"https://{host}:{self.service_port}"
        return apiserver.Place(url, self.kubernetes_ca_file, self.kubernetes_token_file)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return _address(self.listen)

    @property
    def retention(self) -> Retention:
        """How long tasks, idempotency keys and effects are kept."""
        return Retention(
            ended_task_seconds=self.ended_task_seconds,
            idempotency_seconds=self.idempotency_seconds,
            effect_seconds=self.effects_seconds,
            evidence_seconds=self.evidence_seconds,
            evidence_rows=self.evidence_rows,
        )

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of measures and probes; None: they are where callers come."""
        return _address(self.metrics_listen) if self.metrics_listen else None


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def read_gateway_settings() -> GatewaySettings:
    """The settings in the environment.

    Raises:
        InvalidResource: a variable is missing or cannot be used; the message names it.
    """
    try:
        return GatewaySettings()  # the environment fills the fields
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if first["loc"]:
            reason = f"the environment variable {_PREFIX}{str(first['loc'][0]).upper()}: {reason}"
        raise errors.InvalidResource(reason) from error
