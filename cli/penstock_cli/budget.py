"""``penstock budget``: what agents may spend, what they have spent, and a lift. Imports when it runs."""

from typing import Annotated

import typer

from penstock_cli import commands, exits, options
from penstock_cli.group import Group

app = typer.Typer(
    cls=Group,
    help="What agents may spend, what they have spent, and more of it for a while.",
    epilog=exits.MEANING,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_Agent = Annotated[str, typer.Argument(metavar="AGENT", help="Its name.")]


@app.command(epilog=exits.MEANING)
@options.at_gateway
def show(
    place: options.Place,
    agent: _Agent,
    user: Annotated[
        str | None, typer.Option(help="With the windows of this user of the token's tenant.")
    ] = None,
    output: options.Output = "text",
) -> None:
    """Show each window of an agent's budget, its lifts, and the cost of today by revision."""
    for what, given in (("AGENT", agent), ("--user", user or "")):
        options.check_text(what, given)
    from penstock_cli import money

    commands.carry_out(lambda: money.show(place, agent, user, output))


@app.command(epilog=exits.MEANING)
@options.at_cluster
def top(
    place: options.Place,
    *,
    everywhere: options.AllNamespaces = False,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = 20,
    output: options.Output = "text",
) -> None:
    """List the agents that have cost most today, as their status says."""
    from penstock_cli import money

    shown = money.Top(everywhere, limit, output)
    commands.carry_out(lambda: money.top(place, shown))


@app.command(epilog=exits.MEANING)
@options.at_cluster
def lift(
    place: options.Place,
    agent: _Agent,
    of: Annotated[
        str,
        typer.Argument(
            metavar="SCOPE/WINDOW",
            help="agent, tenant or user; hourly, daily or monthly: agent/daily.",
        ),
    ],
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="How much more: 4.50 is USD, or 200000tokens.")
    ],
    wait: Annotated[
        float, typer.Option(min=0, max=600, help="Seconds to wait for the operator's answer.")
    ] = 30,
    output: options.Output = "text",
) -> None:
    """Add to a limit of an agent's budget until its window ends; takes the verb budget on agents."""
    from penstock_cli import money

    wanted = money.Wanted(agent, of, amount, wait)
    commands.carry_out(lambda: money.lift(place, wanted, output))
