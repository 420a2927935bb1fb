"""What can be checked: each contract with its title, the words it is recognised by, and its judge."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from glassformer.checking.attention_judge import KINDS, AttentionJudge
from glassformer.checking.backward_judge import BackwardJudge
from glassformer.checking.block_judge import BlockJudge
from glassformer.checking.block_reading import BLOCKS
from glassformer.checking.feed_forward import FeedForwardJudge
from glassformer.checking.judging import Judge
from glassformer.checking.losses import CrossEntropyJudge
from glassformer.checking.mask_functions import CausalMaskJudge, PaddingMaskJudge
from glassformer.checking.model_judge import MODELS, ModelJudge
from glassformer.checking.norms import LayerNormJudge
from glassformer.checking.patches import PatchEmbeddingJudge, PatchifyJudge
from glassformer.checking.pooling import ClsPoolingJudge, MeanPoolingJudge
from glassformer.checking.positions_judge import LearnedJudge, SinusoidalJudge


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
        Contract(
            "sinusoidal-positions", "sinusoidal positional encoding",
            "x (batch, tokens, d_model) -> x plus sines and cosines; or length, d_model -> their table",
            SinusoidalJudge,
            (r"sinusoid", r"positional_encoding", r"position_encoding", r"add_positions"),
        ),
        Contract(
            "learned-positions", "learned positional embedding",
            "x (batch, tokens, d_model) -> x plus a learned row for each position",
            LearnedJudge,
            (r"learned.*position", r"position(al)?_?embedding", r"pos_?emb"),
        ),
        Contract(
            "feed-forward", "feed-forward block",
            "x (batch, tokens, d_model) -> activation(x W1 + b1) W2 + b2, of the same shape",
            FeedForwardJudge,
            (r"feed_?forward", r"^(mlp|ffn?|ff)(_?block|_?layer)?$", r"position_?wise"),
        ),
        Contract(
            "layer-norm", "layer norm",
            "x (..., d_model) -> gamma (x - mean) / sqrt(variance + 1e-5) + beta, over the last axis",
            LayerNormJudge,
            (r"layer_?norm", r"^norm(alization|alisation)?$"),
        ),
        Contract(
            "patchify", "cutting images into patches",
            "images (batch, channels, height, width) -> (batch, patches, channels * p * p), row by row",
            PatchifyJudge,
            (r"patchif", r"to_patches", r"(extract|make|split|get|cut).*patches", r"^patches$"),
        ),
        Contract(
            "patch-embedding", "patch embedding",
            "images (batch, channels, height, width) -> (batch, patches, d_model)",
            PatchEmbeddingJudge,
            (r"patch_?emb", r"patch_projection"),
        ),
        Contract(
            "mean-pooling", "mean pooling over real tokens",
            "x (batch, tokens, d) and lengths or a mask (batch, tokens) -> (batch, d)",
            MeanPoolingJudge,
            (r"mean_?pool", r"average_?pool", r"avg_?pool", r"masked_?mean", r"mean_over"),
        ),
        Contract(
            "cls-pooling", "CLS pooling",
            "x (batch, tokens, d) -> the first token of each, (batch, d)",
            ClsPoolingJudge,
            (r"cls_?pool", r"pool_?cls", r"^(take|get)_cls", r"first_token"),
        ),
        Contract(
            "causal-mask", "causal mask",
            "a size -> (size, size): which keys each query may see, as booleans, 0 and 1, or to be added",
            CausalMaskJudge,
            (r"causal_?mask", r"subsequent_?mask", r"look_?ahead", r"future_?mask"),
        ),
        Contract(
            "padding-mask", "padding mask",
            "token ids (batch, tokens) or lengths (batch,) -> which keys are real, (batch, ..., tokens)",
            PaddingMaskJudge,
            (r"pad(ding)?_?mask", r"src_?mask", r"lengths?_to_mask", r"sequence_?mask"),
        ),
        Contract(
            "cross-entropy", "cross-entropy on shifted targets",
            "logits (batch, tokens, vocabulary), ids (batch, tokens) -> the mean loss of the next real token",
            CrossEntropyJudge,
            (r"cross_?entropy", r"(sequence|lm|language_model|token|shifted)_loss", r"^loss(_fn)?$"),
        ),
        Contract(
            "numpy-backward", "backward pass in NumPy",
            "X (n, features), y (n,) -> gradients of the loss of a network with one hidden layer of sigmoids",
            BackwardJudge,
            (r"^back_?(ward|prop)\w*", r"neural_?net\w*", r"two_layer_net", r"^network$"),
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
