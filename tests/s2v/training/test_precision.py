import pytest
import torch

from s2v.training.precision import choose_precision, cuda_capabilities


@pytest.mark.parametrize(
    ("accelerator", "capabilities", "precision", "reason"),
    [
        ("auto", [], "32-true", "no CUDA device"),
        ("cpu", [(9, 0)], "32-true", "no CUDA device"),
        ("mps", [], "32-true", "no CUDA device"),
        ("auto", [(8, 0)], "bf16-mixed", "has bfloat16"),
        ("gpu", [(9, 0), (10, 0)], "bf16-mixed", "has bfloat16"),
        ("cuda", [(7, 5)], "32-true", "capability 7.5 has no bfloat16"),
        ("gpu", [(9, 0), (7, 0)], "32-true", "capability 7.0 has no bfloat16"),  # the slowest rank decides
    ],
)
def test_bfloat16_where_every_gpu_has_it(
    accelerator: str, capabilities: list[tuple[int, int]], precision: str, reason: str
) -> None:
    chosen, why = choose_precision(accelerator, capabilities)
    assert chosen == precision and reason in why


def test_this_machine_is_asked() -> None:
    assert len(cuda_capabilities()) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)
