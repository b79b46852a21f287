"""Any face network that comes as an ONNX file, given how it wants its pictures; run by ONNX Runtime on the CPU."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from s2v.errors import InputError, one_line
from s2v.models.face_network import resize_faces


class OnnxFaceNetwork(nn.Module):
    """Faces (B, 3, H, W) RGB 0..255 to one output of the file's network, through (face - mean) / std.

    No gradient flows through it: it can teach from real faces and judge, but not be part of a generator's loss.

    Args:
        path: the .onnx file, with one picture input of shape (B, 3, S, S) or (B, S, S, 3), B free or 1.
        image_size: S, pixels; None: as the file states.
        mean: of red, green and blue in 0..255, or one for all.
        std: likewise.
        order: of the channels that the network expects; `mean` and `std` are in the order red, green, blue.
        output: what its values are, "embedding" or "logits".
        output_name: which of the file's outputs is read; "": its first.
        class_names: of the logits.
    """

    def __init__(
        self,
        path: str,
        image_size: int | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        order: Literal["rgb", "bgr"] = "rgb",
        output: Literal["embedding", "logits"] = "embedding",
        output_name: str = "",
        class_names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if order not in ("rgb", "bgr") or output not in ("embedding", "logits"):
            raise InputError(
                f"{path}: order is rgb or bgr and output embedding or logits, but got {order!r}, {output!r}"
            )
        if len(mean) not in (1, 3) or len(std) not in (1, 3) or 0 in std:
            raise InputError(
                f"{path}: mean and std are one number or three, std not 0, but got {mean} and {std}"
            )
        self.path = path
        session = _opened(path)
        shape = list(session.get_inputs()[0].shape)
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise InputError(f"{path}: its input is {shape}, expected pictures (B, 3, S, S) or (B, S, S, 3)")
        self.channels_last = shape[1] != 3
        stated = shape[1] if self.channels_last else shape[2]
        size = image_size or stated
        if not isinstance(size, int) or size < 1:
            raise InputError(f"{path} leaves its input's size open ({shape}): state it, say size=112")
        if isinstance(stated, int) and stated != size:
            raise InputError(f"{path}: its input is {stated} pixels wide, but size={size} was asked for")
        self.image_size = size
        self.one_at_a_time = shape[0] == 1
        names = [found.name for found in session.get_outputs()]
        if output_name and output_name not in names:
            raise InputError(f"{path} has no output {output_name!r}, only {', '.join(names)}")
        self.output, self.output_name = output, output_name or names[0]
        self.order = order
        self.class_names = list(class_names)
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)).view(1, -1, 1, 1), persistent=False)

    mean: Tensor
    std: Tensor

    @torch.no_grad()
    def forward(self, faces_rgb_255: Tensor) -> dict[str, Tensor]:
        """{"embedding" or "logits": (B, D)} on the faces' device; further dimensions of the output are joined."""
        faces = (resize_faces(faces_rgb_255, self.image_size) - self.mean) / self.std
        if self.order == "bgr":
            faces = faces.flip(1)
        if self.channels_last:
            faces = faces.permute(0, 2, 3, 1)
        session = _opened(self.path)
        name = session.get_inputs()[0].name
        parts = faces.split(1 if self.one_at_a_time else len(faces))
        try:
            found = [
                session.run([self.output_name], {name: np.ascontiguousarray(part.cpu().numpy())})[0]
                for part in parts
            ]
        except Exception as error:  # ONNX Runtime's own classes, which share no useful ancestor
            raise InputError(
                f"{self.path} can't be run on faces {tuple(faces.shape)}: {one_line(error, 120)}"
            ) from error
        values = torch.from_numpy(np.concatenate(found)).float().to(faces_rgb_255.device)
        values = values.flatten(1)
        if self.class_names and values.shape[1] != len(self.class_names):
            raise InputError(
                f"{self.path} has {values.shape[1]} outputs, but {len(self.class_names)} classes are named"
            )
        return {self.output: values}


@lru_cache(maxsize=8)
def _opened(path: str) -> Any:
    """The file's session, opened once a process: modules keep the path, so that they can be copied."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"running {path} needs ONNX Runtime: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            Path(path).read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise InputError(f"{path} can't be read as an ONNX network: {one_line(error, 120)}") from error
