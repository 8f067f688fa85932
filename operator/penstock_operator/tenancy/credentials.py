"""How workers reach Redis: one address for all, or a user of their own for each namespace."""

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from penstock import names
from penstock.errors import InvalidResource
from penstock_operator.cluster.kinds import SECRET, Object
from penstock_operator.settings import RedisUsers, Settings
from penstock_store import users

#: The one Secret that the operator writes into a namespace, and the keys in it. A chart's release
#: must have none of that name: with Agents beside it, it would be written to.
SECRET_NAME: Final = "penstock-redis-user"  # noqa: S105  the Secret's name
URL_KEY: Final = "url"
CA_KEY: Final = "ca.crt"
_DIGEST_LENGTH: Final = 16


@dataclass(frozen=True)
class Credentials:
    """What the workers of each namespace are given, derived and never read back.

    ``url`` is where workers find Redis, ``authority`` the certificates (PEM) by which they know
    it, empty for the system's.
    """

    installation: str
    url: str
    key: str = field(repr=False)
    authority: str = ""

    def password(self, namespace: str) -> str:
        """The password of a namespace's user."""
        return users.derive_password(self.key, self.installation, namespace)

    def digest(self, namespace: str) -> str:
        """Changes when workers must be started again to go on reaching Redis; tells nothing else."""
        return hashlib.sha256(self._address(namespace).encode()).hexdigest()[:_DIGEST_LENGTH]

    def secret(self, namespace: str) -> Object:
        """The Secret of a namespace: the address with its user, and the certificates."""
        content = {URL_KEY: self._address(namespace)}
        if self.authority:
            content[CA_KEY] = self.authority
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in content.items()}
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": SECRET_NAME,
                "namespace": namespace,
                "labels": {names.LABEL_MANAGED: names.MANAGER},
            },
            "data": encoded,
        }

    def _address(self, namespace: str) -> str:
        name = users.user_of(self.installation, namespace)
        return users.with_user(self.url, name, self.password(namespace))


def read_credentials(settings: Settings) -> Credentials | None:
    """What namespaces are given as the settings say; None when all workers share one address.

    Raises:
        InvalidResource: with these settings a secret of the installation would stand where any
            namespace's people can read it, or a password could be guessed.
    """
    if settings.redis_users is RedisUsers.SHARED:
        _refuse_shared_password(settings)
        return None
    made = Credentials(
        settings.installation,
        users.without_user(settings.workers_redis_url),
        settings.redis_user_key.get_secret_value(),
        _authority(settings.redis_ca_file),
    )
    try:
        made.password("default")
    except ValueError as error:
        raise InvalidResource(f"PENSTOCK_REDIS_USER_KEY: {error}") from error
    return made


def _refuse_shared_password(settings: Settings) -> None:
    if users.has_password(settings.workers_redis_url):
        raise InvalidResource(
            "workers would be told a Redis address with a password, readable in every namespace "
            "that has an Agent: set PENSTOCK_REDIS_USERS=PerNamespace, or PENSTOCK_WORKER_REDIS_URL "
            "without a password where all namespaces trust each other"
        )
    if settings.redis_ca_file:
        raise InvalidResource(
            "PENSTOCK_REDIS_CA_FILE reaches workers by their namespace's Secret, which is made with "
            "PENSTOCK_REDIS_USERS=PerNamespace only"
        )


def _authority(file: str) -> str:
    """The certificates in a file, which every namespace may read."""
    if not file:
        return ""
    try:
        text = Path(file).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise InvalidResource(f"PENSTOCK_REDIS_CA_FILE {file} cannot be read: {error}") from error
    if "BEGIN CERTIFICATE" not in text or "PRIVATE KEY" in text:
        raise InvalidResource(f"PENSTOCK_REDIS_CA_FILE {file} must hold certificates and no key")
    return text
