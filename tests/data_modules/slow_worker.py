"""A worker process that sleeps, dies or prints as it is told: `python -m tests.data_modules.slow_worker`."""

import os
import signal
import time
from typing import Any

from data_modules.timed_worker import serve


def answer(request: dict[str, Any]) -> dict[str, Any]:
    if "sleep" in request:
        time.sleep(request["sleep"])
    if "die" in request:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "leave" in request:
        os._exit(3)
    if "print" in request:
        print(request["print"], flush=True)
        os.write(1, b"from a native library\n")
    return {"pid": os.getpid(), "echo": request.get("echo")}


if __name__ == "__main__":
    serve(answer)
