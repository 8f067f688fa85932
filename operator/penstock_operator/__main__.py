"""``python -m penstock_operator``."""

import sys
from typing import Final

from penstock_operator.main import main

#: Stored objects may nest as deeply as the API server allows; one of them must not stop the rest.
DEEPEST_NESTING: Final = 100_000

sys.setrecursionlimit(DEEPEST_NESTING)
sys.exit(main())
