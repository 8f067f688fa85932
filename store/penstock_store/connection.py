"""The way to Redis: connection pools, deadlines, scripts that stay in one slot, errors in words."""

import asyncio
import math
import re
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection as SingleConnection

from penstock.errors import NotReplicated, StoreRefused, StoreUnavailable
from penstock.guard import Guard
from penstock_store import keys
from penstock_store.records import Memory
from penstock_store.scripts import Script
from penstock_store.wiring import Durability, Wiring, client, place

_CONNECTIONS: Final = 32
_WAITING_CONNECTIONS: Final = 64  # each wait_for_work holds one while it waits
_RETURN_SECONDS: Final = 2.0  # how much later than asked a blocking command may answer
# Said at the beginning, or, when a script met it, within its message.
_UNABLE: Final = re.compile(
    r"\b(OOM|MISCONF|READONLY|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|BUSY|TRYAGAIN) "
)
# A user that is not there (yet, or since Redis forgot it), or whose rights are still another release's.
_REFUSED: Final = re.compile(
    r"^(NOPERM|NOAUTH|WRONGPASS)\b|invalid username-password pair|Authentication required"
    r"|has no permissions|user executing the script can't|can't run this command"
)
_HEALED: Final = (
    "The operator makes Redis users again within seconds; if this lasts, read its log and check "
    "the address, with user and password, that this process was given."
)
_STRANGE: Final = "If it is about a value or its type, look who else writes to that agent's keys."
_CHECK: Final = "Check that it runs, is reachable from here, and has memory and disk left."
_UNREACHABLE: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.RedisClusterException,
    OSError,
)

Argument = str | bytes | int
#: Arguments of a script, or how they are made when it is known which life of a server answers.
Arguments = Sequence[Argument] | Callable[[str], Sequence[Argument]]


_NOTHING_REPLICATED: Final = Durability()


class Connection:
    """Redis behind one deadline per call. Nothing is sent before the first call.

    Every call raises StoreUnavailable when Redis does not answer in time or cannot now, and
    StoreRefused when it answers with any other error. What writes asks the guard first, and raises
    what the guard raises.
    """

    def __init__(self, wiring: Wiring, guard: Guard) -> None:
        self._wiring = wiring
        self._guard = guard
        # Which life of a server each open connection leads to; forgotten when it is opened anew.
        self._lives: weakref.WeakKeyDictionary[SingleConnection, str] = weakref.WeakKeyDictionary()
        self._client = client(wiring, _CONNECTIONS, greet=self._greet)
        self._waiting = client(wiring, _WAITING_CONNECTIONS, blocking=True)
        self._place = place(wiring.url)
        self._failed_at = -math.inf  # monotonic seconds

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        await self._waiting.aclose()

    async def run(
        self,
        script: Script,
        keyed: Sequence[str],
        arguments: Arguments = (),
        *,
        replicated: bool = False,
    ) -> Any:
        """Run a script on keys of one slot; its answer as Redis gives it, strings as bytes.

        Args:
            script: which.
            keyed: its keys.
            arguments: its arguments; a function gets the id of the life of the server that will run
                it, empty where that cannot be known.
            replicated: return once the configured number of replicas has what it wrote.

        Raises:
            NotReplicated: it ran, and too few replicas confirmed it in time.
            ValueError: the keys are in more than one slot (a mistake in the program).
            StoreUnavailable: no answer in time.
            StoreRefused: the answer is an error, as where another type of value is in a key.
        """
        if script.guarded:
            self._guard()
        assert_one_slot(keyed)
        durability = self._wiring.durability if replicated else _NOTHING_REPLICATED
        wanted = durability.replicas
        running = self._evaluate(script, keyed, arguments, wanted)
        seconds = self._wiring.timeout_seconds + (durability.timeout_ms / 1000 if wanted else 0)
        answer, confirmed = await self._within_deadline(script.name, running, seconds)
        if confirmed < wanted:
            raise NotReplicated(
                f"{confirmed} of {wanted} replicas of Redis confirmed {script.name} within "
                f"{durability.timeout_ms} ms"
            )
        return answer

    async def run_each(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[Any]:
        """Run a script on keys and arguments of many, in one round trip; the answers in order.

        An answer that is an error is in its place, as StoreRefused.
        """
        if isinstance(self._client, RedisCluster):  # its slots are on many servers
            return [await self._run_or_refused(script, *call) for call in calls]
        if script.guarded:
            self._guard()
        for keyed, _ in calls:
            assert_one_slot(keyed)
        answers = await self._piped(script, calls)
        if any(isinstance(answer, exceptions.NoScriptError) for answer in answers):
            await self._run_or_refused(script, *calls[0])  # sent whole: from now on it is known
            answers = await self._piped(script, calls)
        return [self._or_refused(script, answer) for answer in answers]

    async def _piped(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]
    ) -> list[Any]:
        pipe = cast("Redis", self._client).pipeline(transaction=False)
        for keyed, arguments in calls:
            pipe.execute_command("EVALSHA", script.sha, len(keyed), *keyed, *arguments)
        answers = pipe.execute(raise_on_error=False)
        return list(await self._within_deadline(script.name, answers))

    async def _run_or_refused(
        self, script: Script, keyed: Sequence[str], arguments: Sequence[Argument]
    ) -> Any:
        try:
            return await self.run(script, keyed, arguments)
        except StoreRefused as error:
            return error

    def _or_refused(self, script: Script, answer: Any) -> Any:
        """One of many answers. Raises StoreUnavailable where it says that Redis cannot now."""
        if not isinstance(answer, exceptions.RedisError):
            return answer
        told = self._told(script.name, answer)
        if isinstance(told, StoreUnavailable):
            raise told
        return told

    async def read(self, *command: Argument) -> Any:
        """Run a command that changes nothing; tried again once when the connection breaks."""
        what = str(command[0])
        return await self._within_deadline(what, self._twice(command))

    async def block(self, seconds: float, *command: Argument) -> Any:
        """Run a command that waits up to ``seconds`` by itself, on a connection of its own."""
        return await self._within_deadline(
            str(command[0]),
            self._waiting.execute_command(*command),
            seconds=seconds + _RETURN_SECONDS,
        )

    async def change_everywhere(self, *command: Argument) -> list[Any]:
        """Run a command that writes, and may be repeated, on every node; the answer of each."""
        self._guard()
        return await self.read_everywhere(*command)

    async def read_everywhere(self, *command: Argument) -> list[Any]:
        """Run a command that changes nothing on every node; the answer of each."""
        what, answers = str(command[0]), self._on_each_node(command)
        return list(await self._within_deadline(what, answers))

    def seconds_since_failure(self) -> float:
        """How long ago a call last ended in StoreUnavailable, infinite if none has."""
        return time.monotonic() - self._failed_at

    def subscriber(self) -> SingleConnection:
        """A connection, not yet connected, to subscribe with. In a cluster any node hears all."""
        client = self._waiting
        if isinstance(client, RedisCluster):
            node = client.get_random_node()
            return node.connection_class(**node.connection_kwargs)
        return cast(
            "SingleConnection",
            client.connection_pool.make_connection(),  # type: ignore[no-untyped-call]
        )

    async def _twice(self, command: Sequence[Argument]) -> Any:
        try:
            return await self._client.execute_command(*command)
        except (exceptions.ConnectionError, OSError):
            return await self._client.execute_command(*command)

    async def _on_each_node(self, command: Sequence[Argument]) -> list[Any]:
        if not isinstance(self._client, RedisCluster):
            return [await self._twice(command)]
        answers = await self._client.execute_command(*command, target_nodes=RedisCluster.ALL_NODES)
        return list(answers.values())

    async def memory(self) -> Memory | None:
        """What Redis uses; None where this user may not ask, or it is a cluster."""
        if isinstance(self._client, RedisCluster):
            return None
        try:
            said = _info(await self.read("INFO", "memory"))
            return Memory(int(said["used_memory"]), int(said.get("maxmemory", 0)))
        except (StoreRefused, KeyError, ValueError):
            return None
        except StoreUnavailable as error:
            if _REFUSED.search(str(error)) or "NOPERM" in str(error):
                return None
            raise

    async def _evaluate(
        self, script: Script, keyed: Sequence[str], arguments: Arguments, replicas: int
    ) -> tuple[Any, int]:
        """The answer, and how many replicas have confirmed what was written."""
        if isinstance(self._client, RedisCluster):
            given = arguments("") if callable(arguments) else arguments
            return await _said(self._client.execute_command, script, keyed, given), 0
        pool = self._client.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            say = _Line(connection).say
            life = await self._life(connection, say) if callable(arguments) else ""
            given = arguments(life) if callable(arguments) else arguments
            answer = await _said(say, script, keyed, given)
            if not replicas:
                return answer, 0
            # On this very connection: WAIT asks for what this one has written.
            return answer, await say("WAIT", replicas, self._wiring.durability.timeout_ms)
        finally:
            await pool.release(connection)

    async def _greet(self, connection: SingleConnection) -> None:
        self._lives.pop(connection, None)
        await connection.on_connect()

    async def _life(self, connection: SingleConnection, say: Callable[..., Awaitable[Any]]) -> str:
        """Which life of which server a connection leads to: another one after a restart or a failover."""
        if connection not in self._lives:
            try:
                self._lives[connection] = _info(await say("INFO", "server")).get("run_id", "")
            except exceptions.ResponseError:  # the user of a version before may not ask
                self._lives[connection] = ""
        return self._lives[connection]

    async def _within_deadline(
        self, what: str, answer: Awaitable[Any], seconds: float | None = None
    ) -> Any:
        limit = self._wiring.timeout_seconds if seconds is None else seconds
        try:
            async with asyncio.timeout(limit):
                return await _heeding_cancellation(answer)
        except TimeoutError as error:
            raise self._unavailable(what, f"no answer within {limit:g} s") from error
        except _UNREACHABLE as error:
            raise self._unavailable(what, str(error) or type(error).__name__) from error
        except exceptions.RedisError as error:
            raise self._told(what, error) from error

    def _told(self, what: str, error: exceptions.RedisError) -> StoreUnavailable | StoreRefused:
        """What an error that Redis answers with means."""
        if _UNABLE.search(str(error)) or _REFUSED.search(str(error)):
            return self._unavailable(what, str(error))
        return self._refused(what, error)

    def _unavailable(self, what: str, why: str) -> StoreUnavailable:
        self._failed_at = time.monotonic()
        advice = _HEALED if _REFUSED.search(why) else _CHECK
        return StoreUnavailable(
            f"Redis at {self._place} did not do {what}: {why.rstrip('.')}. {advice}"
        )

    def _refused(self, what: str, error: exceptions.RedisError) -> StoreRefused:
        """No outage: who holds a namespace's user can write what no script of ours can read."""
        why = (str(error) or type(error).__name__).rstrip(".")
        return StoreRefused(f"Redis at {self._place} refused {what}: {why}. {_STRANGE}")


@dataclass(frozen=True)
class _Line:
    """One connection, for commands that belong together."""

    connection: SingleConnection

    async def say(self, *command: Argument) -> Any:
        """A command's answer."""
        await self.connection.send_command(*command)
        return await self.connection.read_response()


async def _said(
    say: Callable[..., Awaitable[Any]],
    script: Script,
    keyed: Sequence[str],
    arguments: Sequence[Argument],
) -> Any:
    rest = (len(keyed), *keyed, *arguments)
    try:
        return await say("EVALSHA", script.sha, *rest)
    except exceptions.NoScriptError:
        return await say("EVAL", script.text, *rest)


def _info(text: bytes) -> dict[str, str]:
    """The fields of an answer to INFO."""
    lines = text.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


async def _heeding_cancellation(answer: Awaitable[Any]) -> Any:
    """The answer, unless whoever awaits it was cancelled meanwhile.

    Before Python 3.12 ``asyncio.wait_for``, with which the client sends, forgets a cancellation
    that comes in the moment in which it is done; a caller who has gone would wait on.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    result = await answer
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


def assert_one_slot(keyed: Sequence[str]) -> None:
    """Refuse keys of more than one slot: on one node they would work by luck, in a cluster not.

    Raises:
        ValueError: naming the keys.
    """
    if len({keys.slot(key) for key in keyed}) != 1:
        raise ValueError(f"not in one slot: {', '.join(keyed)}")
