"""Cutting a face out of a picture by a box in fractions."""

import torch

from s2v.models.face_box import crop_face


def test_cuts_the_box() -> None:
    pictures = torch.arange(8 * 8, dtype=torch.uint8).view(1, 1, 8, 8).repeat(1, 3, 1, 1)
    face = crop_face(pictures, (0.25, 0.5, 0.75, 1.0), size=4)
    assert face.dtype == torch.float32
    assert torch.equal(face, pictures[..., 2:6, 4:8].float())


def test_edge_pixels_repeat_beyond_the_picture() -> None:
    pictures = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2).repeat(1, 3, 1, 1)
    face = crop_face(pictures, (-0.5, 0.0, 1.0, 1.5), size=3)
    assert torch.equal(face[0, 0], torch.tensor([[1.0, 2, 2], [1, 2, 2], [3, 4, 4]]))


def test_shrinking_averages() -> None:
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[..., ::8] = 255  # of eight columns, bilinear sampling reads the black ones in the middle
    assert (crop_face(stripes, (0, 0, 1, 1), size=8)[..., 1:-1] - 255 / 8).abs().max() < 8
