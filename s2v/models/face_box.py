"""How a face network cuts its input out of a picture: a box in fractions, resized with anti-aliasing."""

from torch import Tensor
from torch.nn import functional

from s2v.models.face_network import resize_faces

FaceBox = tuple[float, float, float, float]
"""(top, left, bottom, right), fractions of the picture's height and width; beyond 0..1 edge pixels repeat."""


def crop_face(pictures_rgb_255: Tensor, box: FaceBox, size: int) -> Tensor:
    """Pictures (B, 3, h, w), any size and dtype, to float (B, 3, size, size) of what `box` holds."""
    height, width = pictures_rgb_255.shape[-2:]
    top, bottom = round(box[0] * height), round(box[2] * height)
    left, right = round(box[1] * width), round(box[3] * width)
    pictures = pictures_rgb_255.float()
    beyond = (max(0, -left), max(0, right - width), max(0, -top), max(0, bottom - height))
    if any(beyond):
        pictures = functional.pad(pictures, beyond, mode="replicate")
        left, right, top, bottom = left + beyond[0], right + beyond[0], top + beyond[2], bottom + beyond[2]
    return resize_faces(pictures[..., top:bottom, left:right], size)
