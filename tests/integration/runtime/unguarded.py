"""A worker as it would be without the guard: what a dead one has begun is begun again, children included."""

import sys

from penstock_runtime.agent import step
from penstock_runtime.worker import children, main


def unguarded():
    """Take the guard out of this process, and out of the children that it starts."""
    step.must_not_repeat = lambda _toolbox, _call: False
    start = children.asyncio.create_subprocess_exec

    async def started(program, flag, _module, *arguments, **how):
        return await start(program, flag, __spec__.name, *arguments, **how)

    children.asyncio.create_subprocess_exec = started


if __name__ == "__main__":
    unguarded()
    sys.exit(main.main(sys.argv[1:]))
