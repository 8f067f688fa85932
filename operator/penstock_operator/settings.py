"""The operator's settings: the environment, read once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from penstock_operator.leadership.election import Timing
from penstock_store.scripts import Retention
from penstock_store.wiring import Durability


class RedisUsers(StrEnum):
    """Who workers are to Redis."""

    SHARED = "Shared"  # all of one trust: what they are told is no secret
    PER_NAMESPACE = "PerNamespace"


class RuntimeUpgrade(StrEnum):
    """Which image the workers of revisions have that were cut with another one."""

    ROLLING = "Rolling"  # the installation's present one, rolled without a gap
    ON_NEXT_REVISION = "OnNextRevision"  # the one they were cut with, as long as they live


class Settings(BaseSettings):
    """Everything the operator is told by its environment (prefix ``PENSTOCK_``)."""

    model_config = SettingsConfigDict(
        env_prefix="PENSTOCK_", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    kubeconfig: str = ""  # empty: the pod's own service account
    redis_url: str = "redis://127.0.0.1:6379/0"
    worker_redis_url: str = ""  # as workers reach it; empty: redis_url
    redis_ca_file: str = ""  # certificates (PEM) by which a rediss:// server is known
    redis_users: RedisUsers = RedisUsers.SHARED
    redis_user_key: SecretStr = SecretStr("")  # what the namespaces' passwords are derived from
    redis_replicas: Annotated[int, Field(ge=0)] = 0  # that confirm a write before a call made once
    redis_replica_timeout_ms: Annotated[int, Field(ge=1)] = Durability().timeout_ms
    ended_task_seconds: Annotated[int, Field(ge=1)] = Retention().ended_task_seconds
    idempotency_seconds: Annotated[int, Field(ge=1)] = Retention().idempotency_seconds
    effects_seconds: Annotated[int, Field(ge=1)] = Retention().effect_seconds
    evidence_seconds: Annotated[int, Field(ge=0)] = Retention().evidence_seconds
    evidence_rows: Annotated[int, Field(ge=1)] = Retention().evidence_rows
    prices_file: Path | None = None  # the installation's own prices, live
    prometheus: str = ""  # those that gates may ask, by name, as JSON; empty: none
    model_url: str = ""  # the installation's model endpoint; empty: the vendor's
    runtime_image: str = "penstock-runtime:dev"
    runtime_upgrade: RuntimeUpgrade = RuntimeUpgrade.ROLLING
    installation: str = "penstock"
    listen: str = "127.0.0.1:8081"
    namespaces: str = ""  # comma-separated; empty: all
    settle_seconds: float = 3.0
    relist_seconds: float = 60.0
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    namespace: str = ""  # the operator's own
    pod_name: str = ""  # empty: the host's name
    lease: str = ""  # name of the Lease in the own namespace; empty: no election, one operator only
    lease_duration_seconds: float = 15.0
    lease_renew_seconds: float = 10.0
    lease_retry_seconds: float = 2.0

    @property
    def timing(self) -> Timing:
        """When the Lease is renewed, given up and taken."""
        return Timing(
            self.lease_duration_seconds, self.lease_renew_seconds, self.lease_retry_seconds
        )

    @model_validator(mode="after")
    def _election_is_possible(self) -> Self:
        if self.lease and not self.namespace:
            raise ValueError("PENSTOCK_LEASE needs PENSTOCK_NAMESPACE, where the Lease is")
        _ = self.timing  # refuses what cannot be
        return self

    @property
    def retention(self) -> Retention:
        """How long tasks, idempotency keys and effects are kept, by every part of the installation."""
        return Retention(
            ended_task_seconds=self.ended_task_seconds,
            idempotency_seconds=self.idempotency_seconds,
            effect_seconds=self.effects_seconds,
            evidence_seconds=self.evidence_seconds,
            evidence_rows=self.evidence_rows,
        )

    @property
    def durability(self) -> Durability:
        """Which replicas must have the note of a call before a worker makes it."""
        return Durability(self.redis_replicas, self.redis_replica_timeout_ms)

    @property
    def workers_redis_url(self) -> str:
        """Redis as worker pods reach it."""
        return self.worker_redis_url or self.redis_url

    @property
    def watched(self) -> tuple[str, ...]:
        """Namespaces to watch; empty: all of them."""
        return tuple(part.strip() for part in self.namespaces.split(",") if part.strip())
