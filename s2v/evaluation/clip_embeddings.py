"""The identity embeddings of a whole test in one piece of memory: a tensor of its own for each takes 0.5 KiB more."""

from array import array

import torch
from torch import Tensor


class ClipEmbeddings:
    """For each clip system -> (D,) float32 on the CPU; systems that share a tensor keep it once."""

    def __init__(self) -> None:
        self._floats: array[float] = array("f")
        self._starts: array[int] = array("Q")
        self._layouts: list[tuple[tuple[str, int], ...]] = []
        """For each clip system and place among the clip's embeddings."""
        self._known: dict[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]] = {}

    def append(self, embeddings: dict[str, Tensor]) -> None:
        """Add a clip's, (D,) each; empty where there are none."""
        different = {id(embedding): embedding for embedding in embeddings.values()}
        places = {key: place for place, key in enumerate(different)}
        layout = tuple((name, places[id(embedding)]) for name, embedding in embeddings.items())
        self._layouts.append(self._known.setdefault(layout, layout))
        self._starts.append(len(self._floats))
        for embedding in different.values():
            self._floats.frombytes(embedding.detach().float().cpu().contiguous().numpy().tobytes())

    def __getitem__(self, clip: int) -> dict[str, Tensor]:
        layout, start = self._layouts[clip], self._starts[clip]
        end = self._starts[clip + 1] if clip + 1 < len(self._starts) else len(self._floats)
        if not layout:
            return {}
        kept = torch.frombuffer(self._floats[start:end], dtype=torch.float32)
        parts = kept.view(1 + max(place for _, place in layout), -1)
        return {name: parts[place] for name, place in layout}
