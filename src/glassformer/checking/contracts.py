"""What can be checked: each contract with its title, the words it is recognised by, and its judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from glassformer.checking.attention_judge import KINDS, AttentionJudge
from glassformer.checking.block_judge import BLOCKS, BlockJudge
from glassformer.checking.judging import Judge
from glassformer.checking.model_judge import MODELS, ModelJudge


@dataclass(frozen=True)
class Contract:
    """judge: makes the judge from (session, offer, code, seed). asks: what goes in and what comes out.

    names: patterns, on a name in lower case with underscores, of classes and functions that mean it.
    """

    slug: str
    title: str
    asks: str
    judge: Callable[..., Judge]
    names: tuple[str, ...]


def _attention(slug: str, asks: str, *names: str) -> Contract:
    kind = KINDS[slug]
    return Contract(slug, kind.title, asks, partial(AttentionJudge, kind=kind), names)


def _block(slug: str, asks: str, *names: str) -> Contract:
    kind = BLOCKS[slug]
    return Contract(slug, kind.title, asks, partial(BlockJudge, kind=kind), names)


def _model(slug: str, asks: str, *names: str) -> Contract:
    kind = MODELS[slug]
    return Contract(slug, kind.title, asks, partial(ModelJudge, kind=kind), names)


CONTRACTS: Mapping[str, Contract] = {
    each.slug: each
    for each in (
        _attention(
            "attention",
            "q (batch, queries, d_k), k (batch, keys, d_k), v (batch, keys, d_v) -> (batch, queries, d_v)",
            r"scaled_dot_product", r"dot_product_attention", r"^sdpa", r"^(attention|attend|attn)(_fn)?$",
        ),
        _attention(
            "parameter-free-self-attention",
            "x (batch, tokens, d) -> softmax(x x^T) x, of the same shape",
            r"(simple|basic|raw|plain|parameter_free|no_param).*attention",
        ),
        _attention(
            "self-attention",
            "x (batch, tokens, d_model) -> (batch, tokens, d_head), one head with maps for q, k and v",
            r"^self_attention(_head)?$", r"^(attention_)?head$", r"single_head",
        ),
        _attention(
            "multi-head-attention",
            "queries and keys (batch, tokens, d_model) -> (batch, queries, d_model), several heads",
            r"multi_?head", r"^mha$", r"causal_self_attention",
        ),
        _attention(
            "self-attention-2d",
            "x (batch, channels, height, width) -> the same shape, every place attending to every other",
            r"attention_?2_?d", r"spatial.*attention",
        ),
        _block(
            "transformer-block",
            "x (batch, tokens, d_model) -> the same shape: self-attention, then a feed-forward layer",
            r"(transformer|encoder|attention)_?(encoder_?)?(block|layer)$", r"^(residual_?)?block$",
        ),
        _block(
            "decoder-block",
            "x (batch, tokens, d_model), memory (batch, source, d_model) -> the shape of x: causal"
            " self-attention, cross-attention, then a feed-forward layer",
            r"decoder_?(block|layer)$",
        ),
        _model(
            "text-classifier",
            "token ids (batch, tokens) -> logits (batch, classes)",
            r"(text|sentiment|transformer|bert|sequence|review)_?classifier",
        ),
        _model(
            "vision-transformer",
            "images (batch, channels, height, width) -> logits (batch, classes)",
            r"vision_?transformer", r"^(simple_|my_|tiny_)?vi_?t$",
        ),
        _model(
            "encoder-decoder",
            "source ids (batch, source), target ids (batch, target) -> logits (batch, target, vocab)",
            r"seq_?2_?seq", r"encoder_?decoder", r"^(my_)?transformer(_model)?$",
        ),
    )
}  # fmt: skip
"""Slug -> contract, in the order in which they are listed."""
