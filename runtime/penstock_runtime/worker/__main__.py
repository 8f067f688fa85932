"""``python -m penstock_runtime.worker``."""

import sys

from penstock_runtime.worker import main

sys.exit(main.main(sys.argv[1:]))
