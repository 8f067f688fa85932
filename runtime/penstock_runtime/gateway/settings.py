"""What a gateway is told by its environment, read once when it starts."""

from pathlib import Path

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from penstock import errors

_PREFIX = "PENSTOCK_"


class GatewaySettings(BaseSettings):
    """Everything a gateway is told: one variable ``PENSTOCK_<NAME>`` for each field."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, env_ignore_empty=True)

    redis_url: str
    tokens_file: Path
    listen: str = "127.0.0.1:8080"  # host:port; an IPv6 host in brackets; port 0: any free one
    installation: str = "penstock"
    log_level: str = "INFO"

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 65536):
            raise ValueError(f"must be host:port, for example 0.0.0.0:8080; it is {value!r}")
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
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
        name = _PREFIX + str(first["loc"][0]).upper()
        raise errors.InvalidResource(f"the environment variable {name}: {first['msg']}") from error
