"""Judges how images are cut into patches, and embedded: the checker's own way, and the known mistakes.

    patch (i, j) holds the pixels (c, i p + u, j p + v); patches row by row, pixels in the order c, u, v

An embedding is a linear map of each patch, which a convolution of stride p computes too
(Dosovitskiy et al. 2021, section 3.1).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.exchange import Built
from glassformer.checking.feeding import Probe, Way, feed, sized
from glassformer.checking.parts import PartJudge, Reading, mistake

BATCH, CHANNELS, D_MODEL = 2, 3, 20
Sides = tuple[int, int]
ORDERS = ("cuv", "uvc", "cvu", "vuc", "ucv", "vcu")
"""Orders of a patch's pixels: channel, row, column. Any trains as well as any other."""


@dataclass(frozen=True)
class Cut:
    """grid: the (batch, c, rows, u, columns, v) of an image. flat: the patches (batch, patches, pixels)."""

    grid: Callable[[Tensor, Sides], Tensor] = lambda x, p: x.reshape(
        len(x), x.shape[1], x.shape[2] // p[0], p[0], x.shape[3] // p[1], p[1]
    )
    columns_first: bool = False
    order: str = "cuv"
    scramble: Callable[[Tensor, Tensor], Tensor] | None = None
    """Of the image and of the right patches: what takes the place of the latter."""

    def __call__(self, x: Tensor, p: Sides) -> Tensor:
        axes = {"c": 1, "u": 3, "v": 5}
        places = (4, 2) if self.columns_first else (2, 4)
        patches = self.grid(x, p).permute(0, *places, *(axes[each] for each in self.order))
        right = patches.flatten(3).flatten(1, 2)
        return right if self.scramble is None else self.scramble(x, right)


@dataclass(frozen=True)
class Embedding(Cut):
    """leave: of the tokens (batch, patches, d_model)."""

    biased: bool = True
    leave: Callable[[Tensor], Tensor] = lambda tokens: tokens

    def embed(self, x: Tensor, p: Sides, weight: Tensor, bias: Tensor | None) -> Tensor:
        tokens = self(x, p) @ weight
        return self.leave(tokens if bias is None or not self.biased else tokens + bias)


def _strided(x: Tensor, p: Sides) -> Tensor:
    """Every h/p-th pixel: the patch's own axes outermost."""
    batch, channels, height, width = x.shape
    apart = x.reshape(batch, channels, p[0], height // p[0], p[1], width // p[1])
    return apart.permute(0, 1, 3, 2, 5, 4)


def _by_view(x: Tensor, right: Tensor) -> Tensor:
    return x.reshape(right.shape)


def _channel_last_by_view(x: Tensor, right: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).reshape(right.shape)


def _turned_by_view(x: Tensor, right: Tensor) -> Tensor:
    """(batch, pixels, patches), as torch's unfold gives it, taken for (batch, patches, pixels)."""
    return right.transpose(1, 2).reshape(right.shape)


def _unmoved(swapped: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """(batch, c, rows, columns, pixels) flattened as it stands."""

    def scramble(x: Tensor, right: Tensor) -> Tensor:
        split = right.unflatten(2, (x.shape[1], -1)).transpose(1, 2)  # (batch, c, patches, pixels)
        split = split.transpose(2, 3) if swapped else split
        return split.reshape(right.shape)

    return scramble


MISTAKES = (
    mistake("patchify-by-view", scramble=_by_view),
    mistake("patchify-by-view", scramble=_channel_last_by_view),
    mistake("patchify-by-view", scramble=_turned_by_view),
    mistake("patchify-by-view", scramble=_unmoved(False)),
    mistake("patchify-by-view", scramble=_unmoved(True)),
    mistake("patchify-strided", grid=_strided),
    mistake("patches-by-columns", columns_first=True),
)
EMBEDDING_MISTAKES = (
    *MISTAKES,
    mistake("patchify-by-view", leave=lambda tokens: tokens.transpose(1, 2).reshape(tokens.shape)),
    mistake("missing-bias", biased=False),
)
CONVENTIONS = frozenset({"patches-by-columns"})


class _Patches(PartJudge):
    feeds = (
        feed("images", "x|img|imgs|image|images|input|inputs|pixels|pixel_values|batch"),
        feed("patch", "patch_size|size|p|patch|ps|kernel_size|patch_dim"),
        feed("patch height", "patch_h|ph|p1|patch_height|p_h|h"),
        feed("patch width", "patch_w|pw|p2|patch_width|p_w|w"),
    )
    bank = MISTAKES
    conventions = CONVENTIONS
    patch: Sides = (2, 2)
    square: int = 0
    channel_last = False

    def probes(self, way: Way) -> dict[str, Probe]:
        draw = np.random.default_rng(self.seed + 9)
        tall = way.takes_a("patch height") is not None
        p = (2, 3) if tall else self.patch
        sides = (self.square, self.square) if self.square else (4 * p[0], 3 * p[1])

        def images(batch: int) -> Probe:
            x = draw.standard_normal((batch, CHANNELS, *sides))
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if self.channel_last else x
            return {"images": x, "patch": p[0], "patch height": p[0], "patch width": p[1], "p": p}

        return {"images": images(BATCH), "one image": images(1)}

    def pictures(self, probe: Probe) -> Tensor:
        """(batch, channels, height, width)."""
        x = torch.as_tensor(probe["images"])
        return x.permute(0, 3, 1, 2) if self.channel_last else x

    def ways(self, sizes: Mapping[str, Any], probes: Mapping[str, Probe] | None = None) -> list[Way]:
        """Of images that are not square, if it takes them; with the channels in front, if it takes them."""
        for self.channel_last in (False, True):
            for self.square in (0, 12):
                found = super().ways(sizes, probes)
                if found or self.stopped:
                    return found
        return []


class PatchifyJudge(_Patches):
    """A function of images and a patch size, or a module that knows the latter."""

    constructor = (sized("patch", "size|kernel_size"), sized("image", "h|w"), feed("channels", "c|channels"))

    def sizes(self) -> dict[str, Any]:
        return {"patch": 2, "image": 12, "channels": CHANNELS}

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return (
            output.ndim >= 3 and len(output) == len(probe["images"]) and output.size == probe["images"].size
        )

    def readings(self, way: Way) -> Sequence[Reading]:
        found = {"channels": "last" if self.channel_last else "first"}
        return [
            Reading(
                way, Cut(order=order), _flat, remarks=("patch-pixel-order",) if order != "cuv" else (),
                found={**found, "pixel order": _told(order)},
            )
            for order in ORDERS
        ]  # fmt: skip

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        return steps(self.pictures(probe), probe["p"])


def _told(order: str) -> str:
    return ", ".join({"c": "channel", "u": "row", "v": "column"}[each] for each in order)


def _flat(output: np.ndarray, probe: Probe) -> np.ndarray | None:
    """(batch, patches, pixels), where pixels or the grid of patches may have axes of their own."""
    pixels = CHANNELS * probe["p"][0] * probe["p"][1]
    return output.reshape(len(output), -1, pixels)


_WIDTHS = (
    "embed_dim|dim|d_model|emb_dim|embedding_dim|hidden_dim|hidden_size|d|emb_size|out_channels|embed_size"
    "|n_embd|width|d_embed|out_dim|projection_dim"
)


class PatchEmbeddingJudge(_Patches):
    """A module of a patch size, channels and a width; a convolution or a linear map within."""

    constructor = (
        sized("image", "input_size|h"),
        sized("patch", "kernel_size|patch_len"),
        feed("channels", "in_channels|in_chans?|channels|in_ch|n_channels|num_channels|c|in_dim"),
        feed("d_model", _WIDTHS),
        sized("bias"),
        sized("dropout"),
    )
    bank = EMBEDDING_MISTAKES
    patch = (4, 4)

    def sizes(self) -> dict[str, Any]:
        return {
            "image": 12, "patch": 4, "channels": CHANNELS, "d_model": D_MODEL, "bias": True, "dropout": 0.3,
        }  # fmt: skip

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        patches = probe["images"].size // (len(probe["images"]) * CHANNELS * 16)
        return output.shape == (len(probe["images"]), patches, D_MODEL)

    def readings(self, way: Way) -> Sequence[Reading]:
        found = []
        for name, turned, kernel in _maps(way.built):
            for order in ("cuv",) if kernel else ORDERS:
                context = {"name": name, "turned": turned, "bias": _bias(way.built, name)}
                told = {"parameters": {"projection": name}, "pixel order": _told(order)}
                remarks = ("patch-pixel-order",) if order != "cuv" else ()
                found.append(
                    Reading(way, Embedding(order=order), context=context, remarks=remarks, found=told)
                )
        return found

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        weight, bias = values[reading.context["name"]], reading.context["bias"]
        weight = weight if reading.context["turned"] else weight.flatten(1).T
        return steps.embed(self.pictures(probe), probe["p"], weight, None if bias is None else values[bias])


def _maps(built: Built) -> Iterator[tuple[str, bool, bool]]:
    """Names of matrices from pixels to the width; whether (in, out); whether it is a kernel."""
    pixels = CHANNELS * 16
    for name, shape in built.parameters.items():
        if int(np.prod(shape)) == pixels * D_MODEL:
            if len(shape) == 2:
                yield name, shape[0] == pixels, False
            elif shape == (D_MODEL, CHANNELS, 4, 4):
                yield name, False, True


def _bias(built: Built, weight: str) -> str | None:
    found = [name for name, shape in built.parameters.items() if int(np.prod(shape)) == D_MODEL]
    owner = weight.rpartition(".")[0]
    return next((each for each in found if each.rpartition(".")[0] == owner), None)
