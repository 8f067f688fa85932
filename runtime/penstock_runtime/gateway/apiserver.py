"""The two questions a gateway asks the API server: whose token is this, and may they do that.

Nothing but an answer counts: whatever goes wrong on the way is ``APIServerAway``, never a yes.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from penstock import errors, names
from penstock.names import AgentKey
from penstock_runtime import logs
from penstock_runtime.gateway import metrics

DEADLINE_SECONDS: Final = 5.0
RETRY_AFTER_SECONDS: Final = 5
_LONGEST_RETRY_AFTER_SECONDS: Final = 30
_LIMITS: Final = httpx.Limits(max_connections=32, max_keepalive_connections=8)
_TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
_ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class APIServerAway(errors.PenstockError):
    """No answer that counts: unreachable, too slow, overloaded, or it does not let us ask."""

    def __init__(self, reason: str, retry_after_seconds: int = RETRY_AFTER_SECONDS) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Place:
    """Where the API server is, and the files that a pod is given to speak to it."""

    url: str
    ca_file: Path
    token_file: Path

    def own_token(self) -> str:
        """The gateway's own token, read each time: the kubelet replaces it before it expires."""
        return self.token_file.read_text(encoding="ascii").strip()

    def ca_mark(self) -> object:
        """What changes whenever the file of certificates is replaced; None while it is away."""
        try:
            seen = self.ca_file.stat()
        except OSError:
            return None
        return seen.st_mtime_ns, seen.st_ino, seen.st_size

    def check(self) -> None:
        """Make sure that both files can be used.

        Raises:
            InvalidResource: one cannot; the message names it.
        """
        try:
            self.own_token()
            ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            files = f"{self.token_file} and {self.ca_file}"
            reason = f"the files for the API server, {files}, cannot be used: {error}"
            raise errors.InvalidResource(reason) from error


@dataclass(frozen=True)
class User:
    """Who holds a token, in the words of the API server."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class _Reviewed(BaseModel):
    """The status of either review; a field that is missing says no."""

    class User(BaseModel):
        username: str = ""
        uid: str = ""
        groups: list[str] = []
        extra: dict[str, list[str]] = {}

    authenticated: bool = False
    audiences: list[str] = []
    user: User = User()
    allowed: bool = False


class _Review(BaseModel):
    status: _Reviewed


T = TypeVar("T")


class APIServer:
    """A client for reviews, with a deadline for each.

    The file of certificates is looked at for each review: the kubelet replaces it when the
    cluster's authority is renewed, and by the former one no answer could be had any more.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._away = False
        self._ca_mark = place.ca_mark()  # before it is read: what changes meanwhile is read again
        self._http = _client(place)
        self._former: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        if self._former:
            await self._former.aclose()

    async def user_of(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """Who holds the token; None when it is not valid for one of the audiences.

        Raises:
            APIServerAway: nobody knows.
        """
        spec = {"token": token, "audiences": list(audiences)}
        status = await self._review("token", _TOKEN_REVIEWS, "TokenReview", spec)
        # An authenticator that knows nothing of audiences leaves them out: that is not ours.
        if not status.authenticated or not set(audiences) & set(status.audiences):
            return None
        user = status.user
        extra = tuple((key, tuple(values)) for key, values in sorted(user.extra.items()))
        return User(user.username, user.uid, tuple(user.groups), extra) if user.username else None

    async def allows(self, user: User, verb: str, agent: AgentKey) -> bool:
        """Whether the user may do that with the tasks of the agent.

        Raises:
            APIServerAway: nobody knows.
        """
        spec = {
            "user": user.username,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra},
            "resourceAttributes": {
                "group": names.GROUP,
                "resource": "agents",
                "subresource": "tasks",
                "verb": verb,
                "namespace": agent.namespace,
                "name": agent.name,
            },
        }
        return (await self._review("access", _ACCESS_REVIEWS, "SubjectAccessReview", spec)).allowed

    async def _review(
        self, review: str, path: str, kind: str, spec: Mapping[str, Any]
    ) -> _Reviewed:
        group = path.split("/")[2]
        body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        started = time.perf_counter()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                status = _status(await self._post(path, body))
        except TimeoutError:
            reason = f"no answer within {DEADLINE_SECONDS:g} s"
            raise self._unavailable(review, APIServerAway(reason)) from None
        except APIServerAway as error:
            raise self._unavailable(review, error) from error
        metrics.REVIEW_SECONDS.labels(review).observe(time.perf_counter() - started)
        metrics.REVIEWS.labels(review, "yes" if _says_yes(status) else "no").inc()
        self._answers()
        return status

    async def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        try:
            headers = {"Authorization": f"Bearer {self._place.own_token()}"}
        except (OSError, ValueError) as error:
            raise APIServerAway(f"the gateway's own token cannot be read: {error}") from error
        http = await self._trusting()
        try:
            try:
                return await http.post(path, json=body, headers=headers)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # A kept connection that the other side has closed meanwhile; a review changes nothing.
                return await http.post(path, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise APIServerAway(str(error) or type(error).__name__) from error

    async def _trusting(self) -> httpx.AsyncClient:
        """The client by the certificates that are in the file now, or last could be read."""
        mark = self._place.ca_mark()
        if mark in (None, self._ca_mark):
            return self._http
        self._ca_mark = mark
        try:
            fresh = _client(self._place)
        except (OSError, ValueError) as error:
            file = str(self._place.ca_file)
            logs.get().warning("certificates not read", file=file, reason=str(error))
            return self._http
        # Reviews are on their way by the present one; those by the one before it ended long ago.
        ended, self._former, self._http = self._former, self._http, fresh
        logs.get().info("certificates read anew", file=str(self._place.ca_file))
        if ended:
            await ended.aclose()
        return self._http

    def _unavailable(self, review: str, error: APIServerAway) -> APIServerAway:
        metrics.REVIEWS.labels(review, "unavailable").inc()
        if not self._away:
            self._away = True
            logs.get().error("the API server reviews nothing", review=review, reason=str(error))
        return error

    def _answers(self) -> None:
        if self._away:
            self._away = False
            logs.get().info("the API server reviews again")


def _client(place: Place) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=place.url,
        verify=ssl.create_default_context(cafile=place.ca_file),
        limits=_LIMITS,
        timeout=DEADLINE_SECONDS,
        trust_env=False,
    )


def _says_yes(status: _Reviewed) -> bool:
    return status.authenticated or status.allowed


def _status(response: httpx.Response) -> _Reviewed:
    if response.status_code in (401, 403):
        words = "does not accept the gateway's own token" if response.status_code == 401 else (
            "does not let the gateway create reviews (it needs the rights of system:auth-delegator)"
        )  # fmt: skip
        raise APIServerAway(f"it {words}")
    if not response.is_success:
        raise APIServerAway(f"it answered {response.status_code}", _retry_after(response))
    try:
        return _Review.model_validate_json(response.content).status
    except ValidationError as error:
        raise APIServerAway("it answered something that is no review") from error


def _retry_after(response: httpx.Response) -> int:
    told = response.headers.get("retry-after", "")
    if not told.isdecimal():
        return RETRY_AFTER_SECONDS
    return min(max(int(told), 1), _LONGEST_RETRY_AFTER_SECONDS)
