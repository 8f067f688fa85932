"""The route that erases a user from what an agent keeps."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from penstock.names import AgentKey
from penstock_runtime import logs
from penstock_runtime.gateway import bodies, description, plain, routes
from penstock_runtime.gateway.identities import Verb
from penstock_runtime.gateway.problems import Problem
from penstock_runtime.gateway.state import Gateway
from penstock_store.effects import NOTHING

router: Final = APIRouter(default_response_class=Response)


@router.delete(
    "/v1/namespaces/{namespace}/agents/{agent}/users/{user:path}",
    operation_id="eraseUser",
    responses={
        200: description.answer("How much was erased.", "Erased"),
        **description.refusals("invalid-body", "agent-forbidden", "agent-not-found", "store-full"),
    },
    openapi_extra=description.USER,
)
async def erase(request: Request) -> Response:
    """Erase a user of the caller's tenant from what an agent keeps.

    Effects keep digests, amount and time, and lose who they were for. Tasks that have ended go with their events
    and questions, and with the sessions that are the user's alone; answers in the response cache go where the user
    asked for them first. Tasks that go on are counted as `goingOn` and
    stay: cancel them or wait, and say it again. Of an agent that was deleted goes what is kept still.
    It takes the right to cancel tasks.
    """
    gateway: Gateway = request.app.state.gateway
    caller = await gateway.access.authenticate(request)
    agent = AgentKey(request.path_params["namespace"], request.path_params["agent"])
    routes.check_name(agent)
    await gateway.access.check(caller, Verb.CANCEL, agent)
    user: str = request.path_params["user"]
    if len(user) > bodies.MAX_NAME_LENGTH:
        detail = f"The user in the path may have at most {bodies.MAX_NAME_LENGTH} characters."
        raise Problem("invalid-body", detail)
    erased = await gateway.store.effects.erase(agent, caller.tenant, user)
    if erased == NOTHING and await gateway.store.routes.knows_absent(agent):
        raise Problem("agent-not-found", f"There is no agent {agent}.")
    logs.get().info("a user was erased", agent=str(agent), person=caller.person, **vars(erased))
    document = {
        "effects": erased.effects,
        "tasks": erased.tasks,
        "sessions": erased.sessions,
        "answers": erased.answers,
        "goingOn": erased.going_on,
    }
    return Response(plain.encoded(document), media_type="application/json")
