"""How code was understood is said in words that a learner knows."""

import re

import pytest

from glassformer.checking.understanding import understood

NAMES = {"q": "wq.weight + wq.bias", "k": "wk.weight", "o": "heads.0.w + heads.1.w + heads.2.w"}


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        ({"arguments": {"x": "query"}}, ["x: queries, keys and values"]),
        ({"arguments": {"a": "query", "b": "key"}}, ["a: queries", "b: keys and values"]),
        ({"arguments": {"v": "value", "q": "query", "k": "key"}}, ["v: values", "q: queries", "k: keys"]),
        ({"arguments": {"0": "query", "1": "key"}}, ["argument 1: queries", "argument 2: keys and values"]),
        (
            {"arguments": {"m": "padding mask, 1 = ignored, (batch, keys)"}, "mask_true_means": "ignore"},
            ["m: mask, 1 = ignored; for padding as (batch, keys)"],
        ),
        (
            {"arguments": {"m": "padding mask"}, "mask_true_means": "ignore"},
            ["m: padding mask", "True in a mask: is hidden"],
        ),
        ({"arguments": {"causal": "is_causal=True"}}, ["causality: asked for by is_causal=True"]),
        ({"arguments": {"m": "True = real"}}, ["m: mask, True = a real token"]),
        (
            {"parameters": NAMES},
            [
                "query projection: wq.weight, with the bias wq.bias",
                "key projection: wk.weight",
                "output projection: heads.0.w to heads.2.w",
            ],
        ),
        (
            {"parameters": {"v, cross": "c.weight + c.bias (part 3, interleaved)", "norm 1": ""}},
            [
                "value projection of cross-attention: "
                "part 3 of c.weight (dealt out in turn), with the bias c.bias"
            ],
        ),
        ({"parameters": {"embedding": "src.weight + tgt.weight"}}, ["embedding: src.weight and tgt.weight"]),
        ({"batch_first": False}, ["axes: tokens first, then the batch"]),
        ({"norms": "", "activation": "gelu", "norm": "eps=1e-05"}, ["activation: gelu", "norm: eps = 1e-05"]),
        ({"e flow": "pre-norm"}, ["order: pre-norm"]),
        ({"e flow": "pre-norm", "d flow": "x"}, ["encoder, order: pre-norm", "decoder, order: x"]),
    ],
)  # fmt: skip
def test_plain_words(found: dict, lines: list[str]) -> None:
    assert list(understood(found)) == lines
    assert not any(re.search(r" \+ |^[qkvo]: .*weight", each) for each in understood(found))
