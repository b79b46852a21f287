"""A worker process that sleeps, dies or prints as it is told: `python -m tests.data_modules.slow_worker [SECONDS]`.

SECONDS: how long it takes to start.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_modules.timed_worker import serve
from s2v.files.whole_file import whole_file


def answer(request: dict[str, Any], longer: Callable[[float], None]) -> dict[str, Any]:
    if "longer" in request:
        longer(request["longer"])
    if "write" in request:
        with whole_file(Path(request["write"])) as partial:
            partial.touch()
            time.sleep(60)
    if "hang" in request:  # as a decoder does that never comes back to Python
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if "sleep" in request:
        time.sleep(request["sleep"])
    if "steps" in request:  # time in which the process is stopped does not count
        for _ in range(request["steps"]):
            time.sleep(0.1)
    if "alarm" in request:
        path = Path(request["alarm"])
        path.write_text(path.read_text() + "!")
        if len(path.read_text()) <= request["times"]:
            os.kill(os.getpid(), signal.SIGALRM)
    if "die" in request:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "leave" in request:
        os._exit(3)
    if "print" in request:
        print(request["print"], flush=True)
        os.write(1, b"from a native library\n")
    return {"pid": os.getpid(), "echo": request.get("echo")}


if __name__ == "__main__":
    time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
    serve(answer)
