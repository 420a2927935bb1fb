"""The ways in which a model can be made around its blocks: right ones and known mistakes, for a search."""

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from glassformer.checking.attention_mistakes import PADDING
from glassformer.checking.layouts import Part
from glassformer.checking.model_parts import D_MODEL, PATCH, ModelParts
from glassformer.checking.parts import with_mistakes
from glassformer.checking.patches import MISTAKES as CUTTING
from glassformer.checking.patches import ORDERS, Cut
from glassformer.checking.positions import SINUSOID, Sinusoid
from glassformer.checking.searching import Option, option


def scales() -> list[Option]:
    return [option("embeddings as they are", 1.0), option("embeddings times sqrt(d)", math.sqrt(D_MODEL))]


def tables(parts: ModelParts, which: int = 0) -> list[Option]:
    """value: (tokens, tensors) -> (tokens, d). which: of several learned tables."""
    if parts.positions:
        name = parts.positions[min(which, len(parts.positions) - 1)]

        def learned(start: int) -> Any:
            def rows(length: int, tensors: Mapping[str, Tensor]) -> Tensor:
                table = tensors[name].reshape(-1, D_MODEL)
                if start + length > len(table):
                    raise IndexError
                return table[start : start + length]

            return rows

        return [
            option("learned positions", learned(0)),
            option("", learned(1), "positions-start-at-1"),
            option("no positions", None, "positions-forgotten"),
        ]

    def waves(*slugs: str) -> Any:
        steps = with_mistakes(Sinusoid(), SINUSOID, *slugs)
        return lambda length, tensors: steps.table(length, D_MODEL)

    def wrong(*slugs: str) -> Option:
        return option("", waves(*slugs), *slugs)

    halves = "sines-concatenated"
    return [
        option("sinusoidal positions", waves()),
        option("no positions", None),
        wrong("positions-start-at-1"),
        wrong("sinusoid-exponent-doubled"),
        wrong("sinusoid-exponent-unpaired"),
        option("sinusoidal positions, halves", waves(halves), likely=False, remark=halves),
        wrong("positions-start-at-1", "sinusoid-exponent-doubled"),
    ]


def placements(parts: ModelParts) -> list[Option]:
    """How the table is put on: value (axis, which tokens). axis 1: along the tokens, 0: along the batch."""
    found = [option("", (1, "all"))]
    found.append(option("", (0, "all"), "positions-length-first"))
    if parts.cls:
        found.append(option("", (1, "without cls"), "cls-without-position"))
        found.append(option("", (1, "without cls, from 1"), "cls-without-position"))
    return found


def poolings(parts: ModelParts, padding: bool) -> list[Option]:
    """value: (where the CLS token stands, or "", how the tokens become one)."""
    counts = ("pooling-counts-padding",) if padding else ()
    found = []
    if parts.cls:
        found.append(option("CLS, first", ("first", "first")))
        found.append(option("CLS, last", ("last", "last")))
        for place, how in (("first", "last"), ("first", "second"), ("last", "first"), ("last", "second")):
            found.append(option("", (place, how), "cls-from-wrong-place"))
    place = "first" if parts.cls else ""
    found.append(option("mean over the real tokens", (place, "mean of real")))
    found.append(option("mean over all tokens", (place, "mean"), *counts))
    found.append(option("", (place, "mean by length"), "pooling-divides-by-length"))
    found.append(option("", (place, "mean by batch"), "pooling-divides-by-batch"))
    if not parts.cls:
        found.append(option("the first token", (place, "first")))
        found.append(option("the last token", (place, "last")))
    found.append(option("the largest", (place, "largest")))
    return found


def last_norms(parts: ModelParts) -> list[Option]:
    """value: (norm of the embeddings, norm before pooling, norm after it), each a Part or None."""
    if parts.wide_norms:
        return [option("", (None, parts.wide_norms[-1], None), "norm-over-wrong-axis")]
    none: list[Part | None] = [None, None, None]
    if not parts.norms:
        return [option("no last norm", tuple(none))]
    found = []
    last = parts.norms[-1]
    found.append(option("a last norm", (None, last, None)))
    found.append(option("a norm after pooling", (None, None, last)))
    found.append(option("a norm of the embeddings", (last, None, None)))
    if len(parts.norms) > 1:
        first = parts.norms[0]
        found.insert(0, option("norms of embeddings and output", (first, last, None)))
        found.insert(1, option("norms of embeddings and pooled output", (first, None, last)))
    found.append(option("no last norm", (None, None, None), likely=False))
    return found


def stack_norms(parts: ModelParts) -> list[Option]:
    """value: (last norm of the encoder, last norm of the decoder)."""
    if not parts.norms:
        return [option("no last norms", (None, None))]
    choices: list[Part | None] = [*parts.norms, None]
    found = []
    for encoder in choices:
        for decoder in choices:
            if encoder is None or encoder is not decoder:
                right = [encoder, decoder] == [*parts.norms, None, None][:2]
                found.append(
                    option(
                        "last norms" if encoder or decoder else "no last norms",
                        (encoder, decoder),
                        likely=right or len(parts.norms) < 2,
                    )
                )
            else:
                found.append(option("", (encoder, decoder), "norm-shared"))
    return sorted(found, key=lambda each: not each.likely)


def paddings(said: bool) -> list[Option]:
    """What an attention does with padded keys; value: what changes its steps, or None for nothing."""
    found = [option("padding is masked", None)]
    for each in PADDING:
        ignored = each.slug == "padding-ignored"
        slugs = () if ignored and not said else (each.slug,)
        found.append(option("padding is not masked" if ignored else "", each, *slugs))
    return found


def patchings(parts: ModelParts) -> list[Option]:
    """value: (images, weight, bias) -> (batch, patches, d_model)."""
    found = []

    def linear(order: str, *slugs: str) -> Any:
        ordered = with_mistakes(Cut(order=order), CUTTING, *slugs)

        def embed(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            y = ordered(images, (PATCH, PATCH)) @ weight.flatten(1).T
            return y if bias is None else y + bias

        return embed

    def viewed(images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        y = linear("cuv")(images, weight, bias)
        return y.transpose(1, 2).reshape(y.shape)

    for order in ORDERS[:1] if parts.convolved else ORDERS:
        told = order.replace("u", "h").replace("v", "w")
        found.append(option(f"patches by rows, values {told}", linear(order)))
        found.append(
            option(
                "patches by columns",
                linear(order, "patches-by-columns"),
                remark="patches-by-columns",
                likely=False,
            )
        )
        if not parts.convolved:
            found.append(option("", linear(order, "patchify-strided"), "patchify-strided"))
    if parts.convolved:
        found.append(option("", viewed, "patchify-by-view"))
    else:
        found.append(option("", linear("cuv", "patchify-by-view"), "patchify-by-view"))
    return found


def shifts(said: str | None, starts: tuple[int, ...]) -> list[Option]:
    """value: (start token, by how many). said: who shifts, the "caller" or the model "inside"."""
    found = [
        option("the caller shifts the target", (0, 0), *(("target-not-shifted",) if said == "inside" else ()))
    ]
    for start in starts:
        twice = ("target-shifted-twice",) if said == "caller" else ()
        found.append(option(f"the model shifts the target, start {start}", (start, 1), *twice))
        found.append(option("", (start, 2), "target-shifted-twice"))
    return found
