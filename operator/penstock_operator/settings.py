"""The operator's settings: the environment, read once."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything the operator is told by its environment (prefix ``PENSTOCK_``)."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_", frozen=True)

    kubeconfig: str = ""  # empty: the pod's own service account
    redis_url: str = "redis://127.0.0.1:6379/0"
    worker_redis_url: str = ""  # as workers reach it; empty: redis_url
    model_url: str = ""  # the installation's model endpoint; empty: the vendor's
    runtime_image: str = "penstock-runtime:dev"
    installation: str = "penstock"
    listen: str = "127.0.0.1:8081"
    namespaces: str = ""  # comma-separated; empty: all
    settle_seconds: float = 3.0
    relist_seconds: float = 60.0
    log_level: str = "INFO"

    @property
    def workers_redis_url(self) -> str:
        """Redis as worker pods reach it."""
        return self.worker_redis_url or self.redis_url

    @property
    def watched(self) -> tuple[str, ...]:
        """Namespaces to watch; empty: all of them."""
        return tuple(part.strip() for part in self.namespaces.split(",") if part.strip())
