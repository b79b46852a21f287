"""scikit-image's SSIM under the protocol's settings: what ours is held against."""

import numpy as np
from skimage.metrics import structural_similarity


def ssim_of_scikit_image(mine: np.ndarray, theirs: np.ndarray) -> float:
    """Of one picture (H, W, 3), uint8: Gaussian window of sigma 1.5, population covariance."""
    return structural_similarity(
        mine,
        theirs,
        data_range=255,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
