"""``python -m penstock_operator``."""

import sys

from penstock_operator import logs
from penstock_operator.main import main

logs.configure()
sys.exit(main())
