"""Student heads: what the face teachers see in the video, read from the speech alone (paper, section 2.1)."""

from torch import Tensor, nn


class StudentHead(nn.Module):
    """Small MLP on omega, the last CPC context of a clip: S_id and S_emo of the paper.

    Args:
        in_dim: size of omega.
        hidden: width of the hidden layers.
        out_dim: size of the teacher's feature: 4096 for VGGFace's fc7, 8 for FERplus logits.
        layers: hidden layers.
        dropout: share of hidden units dropped in training.
        non_negative: end in a ReLU, as a teacher feature taken after a ReLU (fc7) does.

    Raises:
        ValueError: a number of layers or a size is none.
    """

    def __init__(
        self,
        in_dim: int = 256,
        hidden: int = 512,
        out_dim: int = 4096,
        layers: int = 2,
        dropout: float = 0.0,
        non_negative: bool = False,
    ) -> None:
        super().__init__()
        if layers < 0 or min(in_dim, hidden, out_dim) < 1:
            raise ValueError(
                "a student head has 0 hidden layers or more, and sizes of 1 or more, not "
                f"layers={layers}, in_dim={in_dim}, hidden={hidden}, out_dim={out_dim}"
            )
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.non_negative = non_negative
        blocks: list[nn.Module] = []
        for index in range(layers):
            blocks += [nn.Linear(in_dim if index == 0 else hidden, hidden), nn.LayerNorm(hidden), nn.ReLU()]
            blocks += [nn.Dropout(dropout)] if dropout else []
        blocks += [nn.Linear(hidden if layers else in_dim, out_dim)]
        blocks += [nn.ReLU()] if non_negative else []
        self.layers = nn.Sequential(*blocks)

    def forward(self, omega: Tensor) -> Tensor:
        """(B, in_dim) -> (B, out_dim)."""
        return self.layers(omega)
