"""Scikit-learn's handwritten digits: small enough to learn in seconds, and there without a network."""

import numpy as np
from jaxtyping import Int64

from glassformer.data.images import Images, hash_pixels


def digits_images() -> tuple[Images, Int64[np.ndarray, " rows"]]:
    """The 1797 digits of 8x8 grey pixels (Alpaydin & Kaynak 1998) and their classes, 0 to 9.

    pixel = round(255 value / 16), with scikit-learn's values 0 to 16.
    """
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    pixels = np.rint(values.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return Images(pixels, hash_pixels(pixels)), np.asarray(labels, dtype=np.int64)
