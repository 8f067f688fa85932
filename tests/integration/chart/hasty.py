"""The operator in a hurry: a namespace without Agents loses its Redis user in a second or two."""

import functools
import runpy

from penstock_operator import app
from penstock_operator.tenancy import tenants

_PACE = tenants.Pace(look=0.2, renew=0.5, empty=1)

app.Tenants = functools.partial(tenants.Tenants, pace=_PACE)
runpy.run_module("penstock_operator", run_name="__main__")
