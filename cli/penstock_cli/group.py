"""A group of commands whose help is quick."""

from typing import Any

from typer.core import TyperGroup


class Group(TyperGroup):
    """Does not ask for its own help where that of one of its commands is wanted.

    An option that is not given has no value, and to make a value of that Typer loads pydantic, which takes as long as
    all else that help needs. A flag that is false is taken as it is.
    """

    def get_help_option(self, ctx: Any) -> Any:
        """``--help``, false where it is not given."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option
