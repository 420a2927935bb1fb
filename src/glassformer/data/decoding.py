"""Turns an encoded image of any kind into pixels of one size, or says in one line why it cannot."""

import io
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import UInt8

from glassformer.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""What Pillow may try: its other readers are rare, and one of them starts a program (EPS)."""

WAY_OUT = "replace or delete it"
GREY = ("1", "L", "LA", "I", "F")


def decode(
    content: bytes, name: str, size: tuple[int, int], channels: Literal[1, 3]
) -> tuple[UInt8[np.ndarray, "channels height width"], tuple[str, ...]]:
    """The pixels of an encoded image, and what was done to it, in words that continue '12 images ...'.

    size: (height, width), pixels. The first frame, upright by its EXIF orientation, put on white where
    transparent; 16-bit grey divided by 257, floating-point grey of 0 to 1 times 255; grey from colour is
    0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). Then it is resized, bicubic (a = -0.5) with antialiasing, so
    that it just covers the wanted size, and the rest is cropped on both sides alike; an image of the wanted
    size keeps its pixels bit by bit.
    Of 16-bit colour the upper eight bits are kept.
    Raises DataError, which names the image, for what cannot be decoded or is larger than Pillow's limit.
    """
    from PIL import Image, UnidentifiedImageError

    if not content:
        raise DataError(f"{name} is empty (0 bytes); {WAY_OUT}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on odd metadata; the pixels are whole or raise
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            first = ["of several frames were cut to the first"] if getattr(image, "is_animated", 0) else []
            if _has_deep_colour(image):
                first.append("with 16 bits a channel were cut to the upper 8")
            image.load()
            image, turned = _upright(image)
            image, coloured = _to_channels(image, name, channels)
            image, resized = _to_size(image, size)
        except UnidentifiedImageError:
            raise DataError(f"{name} is no image of a known kind ({', '.join(FORMATS)}); {WAY_OUT}") from None
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise DataError(
                f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels, which may be an attack; make it "
                "smaller or delete it"
            ) from None
        except DataError:
            raise
        except Exception as error:  # Pillow's readers raise a dozen unrelated kinds on a damaged file
            raise DataError(f"{name} cannot be decoded ({error}); {WAY_OUT}") from error
    pixels = np.asarray(image)
    pixels = pixels[None] if channels == 1 else np.moveaxis(pixels, -1, 0)
    return np.ascontiguousarray(pixels), (*first, *turned, *coloured, *resized)


def _has_deep_colour(image: "Image") -> bool:
    """Whether Pillow, opening the file, found more bits than it will keep: PNG and TIFF, or PPM."""
    return not image.mode.startswith("I") and any(
        mark in str(tile.args) for tile in getattr(image, "tile", []) for mark in (";16", "65535")
    )


def _upright(image: "Image") -> tuple["Image", list[str]]:
    from PIL import ExifTags, Image

    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken metadata says nothing of the pixels, and Pillow raises many kinds on it
        return image, []
    turns = Image.Transpose
    turn = {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(orientation)
    if turn is None:
        return image, []
    return image.transpose(turn), ["were turned upright as their EXIF orientation says"]


def _to_channels(image: "Image", name: str, channels: Literal[1, 3]) -> tuple["Image", list[str]]:
    from PIL import Image

    notes, mode, grey = [], image.mode, image.mode in GREY or image.mode.startswith("I;16")
    if mode.startswith("I") or mode == "F":
        image, note = _to_8_bits(image, name)
        notes.append(note)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            notes.append("with transparency were put on white")
        image = image.convert("RGB")
    if mode in ("P", "PA"):
        notes.append("with a palette were converted")
    elif not grey and not mode.startswith("RGB"):
        notes.append(f"in {mode} were converted")
    elif grey and channels == 3:
        notes.append("in grey were given three equal channels")
    elif not grey and channels == 1:
        notes.append("in colour were turned grey")
    return image.convert("RGB" if channels == 3 else "L"), notes


def _to_8_bits(image: "Image", name: str) -> tuple["Image", str]:
    """By the full range of the type, not by each image's maximum: images keep their brightness in common."""
    from PIL import Image

    values, limit, note = np.asarray(image), 65535, "of 16 bits were scaled to 8 (65535 becomes 255)"
    if image.mode == "I" and image.format == "TIFF":
        note = "of 32 bits were scaled to 8 as those of 16 are (65535 becomes 255)"
    elif image.mode == "F":
        limit, note = 1, "of floating-point numbers were scaled to 8 bits (1.0 becomes 255)"
    if not (values.min() >= 0 and values.max() <= limit):
        raise DataError(
            f"{name} has values from {values.min():g} to {values.max():g}, not 0 to {limit}; "
            "save it with 8 bits"
        )
    return Image.fromarray(np.rint(values * (255 / limit)).astype(np.uint8)), note


def _to_size(image: "Image", size: tuple[int, int]) -> tuple["Image", list[str]]:
    from PIL import Image, ImageOps

    height, width = size
    if image.size == (width, height):
        return image, []
    notes = [f"were resized to {height}x{width}"]
    if image.width * height != image.height * width:
        notes.append("of another aspect ratio were cropped at the centre")
    return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC), notes
