"""The operator in a hurry: a namespace without Agents loses its Redis user in a second or two."""

import functools
import runpy

from penstock_operator import parts, tenancy

_PACE = tenancy.Pace(look=0.2, renew=0.5, empty=1)

parts.Tenants = functools.partial(tenancy.Tenants, pace=_PACE)
runpy.run_module("penstock_operator", run_name="__main__")
