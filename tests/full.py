"""Whether long tests run in full (`make test-full` sets S2V_FULL=1) or shortened."""

import os

FULL = os.environ.get("S2V_FULL") == "1"
