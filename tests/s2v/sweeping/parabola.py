"""A training that takes no time: `python parabola.py --run_dir=DIR --lr=X --name=N` ends with the loss (X - 0.25) ** 2.

It writes metrics.csv as CSVLogger does. `--name=bad` fails, `--name=nan` and `--name=-inf` end with a loss that is no
number, `--name=slow` waits to be stopped and takes a second to end; while a file `stop` lies in the current folder, it
kills the process that started it, as the machine would.
"""

import os
import signal
import sys
import time
from pathlib import Path

options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
folder = Path(options["run_dir"].replace("${oc.env:WANDB_RUN_ID}", os.environ["WANDB_RUN_ID"]))
if options["name"] == "bad":
    print("Seed set to 0", flush=True)
    sys.exit("s2v: error: bad is no name")
if options["name"] == "slow":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        Path("begun").touch()
        time.sleep(60)
    finally:
        time.sleep(1)
        Path("ended").touch()
if Path("stop").exists():
    Path("stop").unlink()
    os.kill(os.getppid(), signal.SIGKILL)
folder.mkdir(parents=True)
loss = (float(options["lr"]) - 0.25) ** 2
last = options["name"] if options["name"] in ("nan", "-inf") else loss
(folder / "metrics.csv").write_text(f"step,val/loss\n1,{loss + 1}\n2,{last}\n")
