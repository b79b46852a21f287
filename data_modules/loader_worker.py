"""How a loader's worker process begins: what it must not do to the fit beside it, nor keep to itself."""

import gc
import multiprocessing.queues
import signal

import torch

from s2v.training.dead_worker import end_worker


def begin_worker(worker: int) -> None:
    """A loader's `worker_init_fn`. Workers copy bytes: threads of their own would only take the cores from training.

    And SIGUSR1, which SLURM may send to every process of a job, is the fit's to answer: a worker that has inherited
    Lightning's answer would save and requeue too. So is SIGTERM, which `timeout` and clusters send to all: a fit whose
    workers die can't finish its step, nor save it. A second one, as of a loader that can't wait, ends the worker.
    And a batch for which shared memory has no room ends it too, where nobody would hear of it and the fit wait on.
    """
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(end_worker)  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    # A collection writes to every object it looks at, and so copies the fit's pages, the manifest's rows and all: what
    # there is at the fork stays out of them.
    gc.freeze()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(signal.SIGTERM, signal.SIG_DFL))
