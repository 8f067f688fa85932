"""Health scripts of Argo CD, run by Lua 5.1 as Argo CD runs them: the object is the global `obj`."""

from __future__ import annotations

import pathlib
from typing import Any

from lupa import lua51

CUSTOMIZATIONS = pathlib.Path("deploy/gitops/argocd/penstock.dev")


def health(script: str, document: dict[str, Any]) -> tuple[str, str]:
    """Status and message that a health script gives an object.

    Only the libraries that Argo CD opens are there: no files, no processes, no modules.
    """
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    lua.execute("os, io, package, require, debug, dofile, loadfile = nil")
    lua.globals().obj = _value(lua, document)
    answer = lua.execute(script)
    return answer["status"], answer["message"]


def _value(lua: lua51.LuaRuntime, value: Any) -> Any:
    """A JSON value as Lua has it: tables, lists from 1 on, null as nil."""
    if isinstance(value, dict):
        return lua.table_from({key: _value(lua, within) for key, within in value.items()})
    if isinstance(value, list):
        return lua.table_from([_value(lua, within) for within in value])
    return value
