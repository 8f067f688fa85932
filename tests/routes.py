"""Routes as tests change them: by the field, whether it is the route's own or its split's."""

from dataclasses import fields, replace
from typing import Any

from penstock.traffic import Route, Split

_OF_SPLIT = {field.name for field in fields(Split)}


def changed(route: Route, **changes: Any) -> Route:
    """The route with these fields changed."""
    split = {name: changes.pop(name) for name in _OF_SPLIT & changes.keys()}
    return replace(route, split=replace(route.split, **split), **changes)
