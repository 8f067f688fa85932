"""What a worker is told by its environment, read once when it starts."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from penstock import errors, names

_PREFIX = "PENSTOCK_"


class WorkerSettings(BaseSettings):
    """Everything a worker is told: one variable ``PENSTOCK_<NAME>`` for each field."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, env_ignore_empty=True)

    namespace: str
    agent: str
    revision: str  # its name, <agent>-<hash>
    revision_file: Path = Path("/etc/penstock/revision") / names.REVISION_FILE
    revision_digest: str
    redis_url: str
    redis_ca_file: str = ""  # certificates (PEM) by which a rediss:// server is known
    redis_replicas: Annotated[int, Field(ge=0)] = 0  # that confirm a write before a call made once
    redis_replica_timeout_ms: Annotated[int, Field(ge=1)] = 1000
    ended_task_seconds: Annotated[int, Field(ge=1)] = 3600
    idempotency_seconds: Annotated[int, Field(ge=1)] = 3600  # after the task's end
    effects_seconds: Annotated[int, Field(ge=1)] = 2_592_000
    evidence_seconds: Annotated[int, Field(ge=0)] = 86_400
    evidence_rows: Annotated[int, Field(ge=1)] = 1_000_000
    installation: str = "penstock"
    model_url: str = ""  # the installation's endpoint, for agents without model.baseURL
    credentials_file: Path | None = None
    fallbacks_dir: Path | None = None  # keys of model.fallbacks: <number from 0>/<key>
    tool_headers_dir: Path | None = None
    prices_file: Path | None = None  # the installation's own prices, live
    concurrency: Annotated[int, Field(ge=1)] = 32
    listen: Annotated[str, Field(pattern=r"^.+:[0-9]+$")] = "127.0.0.1:8080"

    retry_base_seconds: Annotated[float, Field(ge=0)] = 2.0
    breaker_seconds: Annotated[float, Field(gt=0)] = 60.0  # a model that is away is left alone
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 5.0
    claim_idle_seconds: Annotated[float, Field(gt=0)] = (
        15.0  # silent so long, a claim is free again
    )
    sign_seconds: Annotated[float, Field(ge=0)] = 2.0  # of life before a call that is made once
    poll_seconds: Annotated[float, Field(gt=0)] = 5.0  # longest wait for the doorbell
    drain_seconds: Annotated[float, Field(ge=0)] = 25.0
    log_level: str = "INFO"

    @property
    def key(self) -> names.AgentKey:
        """The agent whose tasks are worked on."""
        return names.AgentKey(self.namespace, self.agent)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the probes and metrics; an IPv6 host stands in brackets."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def read_worker_settings() -> WorkerSettings:
    """The settings in the environment.

    Raises:
        InvalidResource: a variable is missing or cannot be used; the message names it.
    """
    try:
        return WorkerSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = _PREFIX + str(first["loc"][0]).upper()
        raise errors.InvalidResource(f"the environment variable {name}: {first['msg']}") from error
