"""What the benchmarks that know GPUs share: arithmetic, a limit of time, and a failure in one line."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

import torch


@contextmanager
def gpu_arithmetic(
    tf32: bool = False, bfloat16: bool = False, cudnn_benchmark: bool = False
) -> Iterator[None]:
    """TF32, autocast to bfloat16 and cuDNN's search for the fastest convolution, on or off; afterwards as before."""
    before = (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
    )
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = cudnn_benchmark
    try:
        # not entered with enabled=False: autocasts within it would keep their bfloat16 weights from step to step
        with torch.autocast("cuda", torch.bfloat16) if bfloat16 else nullcontext():
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError after so many seconds, wherever Python is then."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("--budget is used up")

    if seconds <= 0:
        stop(signal.SIGALRM, None)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def failure(error: Exception) -> str:
    """In one line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"
