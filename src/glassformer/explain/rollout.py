"""Attention as an attribution: rolled out over the layers of an encoder, or taken from a decoder."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from glassformer.explain.capture import captured_attention
from glassformer.explain.questions import Question, SequenceQuestion
from glassformer.nn.pooling import ClsPool, LastPool, MaxPool


def rolled_out(
    layers: Sequence[Float[Tensor, "batch heads queries tokens"]],
) -> Float[Tensor, "batch queries tokens"]:
    """R = Ā_L ... Ā_2 Ā_1 with Ā = (A + I) / 2, A the mean of a layer's weights over its heads.

    R_ij: how much of what the last layer has at token i came from token j, if attention and the residual
    connection carried equal parts and nothing else mixed tokens. Rows sum to one where those of A do. The
    last layer may have the rows of the first tokens alone.
    Raises ValueError without layers.

    Source: Abnar & Zuidema 2020, 'Quantifying Attention Flow in Transformers', section 3.
    """
    if not layers:
        raise ValueError("there are no attention weights to roll out; a recurrent model has none")
    rolled = torch.eye(layers[0].shape[-1], dtype=layers[0].dtype, device=layers[0].device)
    for weights in layers:
        heads = weights.mean(1)
        rolled = (
            0.5 * heads + 0.5 * torch.eye(*heads.shape[-2:], dtype=heads.dtype, device=heads.device)
        ) @ rolled
    return rolled


def pool_weights(
    pool: nn.Module, x: Float[Tensor, "batch tokens d_model"], mask: Bool[Tensor, "batch tokens"]
) -> Float[Tensor, "batch tokens"]:
    """How much each token gives to the pooled vector; rows sum to one.

    mean: 1 / real tokens. cls, last: all from the first, the last token. max: the share of the features whose
    maximum stands at the token, the first of equals; features count alike.
    """
    if isinstance(pool, ClsPool):
        weights = torch.zeros(x.shape[:2], dtype=x.dtype, device=x.device)
        weights[:, 0] = 1
        return weights
    if isinstance(pool, LastPool):
        last = (mask * torch.arange(mask.shape[1], device=mask.device)).amax(1)
        return torch.nn.functional.one_hot(last, x.shape[1]).to(x.dtype)
    if isinstance(pool, MaxPool):
        winner = x.masked_fill(~mask[:, :, None], -torch.inf).argmax(1)
        return torch.nn.functional.one_hot(winner, x.shape[1]).to(x.dtype).mean(1)
    return mask.to(x.dtype) / mask.sum(1, keepdim=True).clamp(min=1)


@torch.no_grad()
def attention_rollout(question: Question) -> Float[Tensor, "rows parts"]:
    """a_j = Σ_i w_i R_ij: the rollout, weighted by what each token gives to the pooled vector.

    R: `rolled_out`; w: `pool_weights`. A CLS token is no part of the input: what it keeps for itself is left
    out, so the parts of a row then sum to less than one. Of classifiers alone.
    """
    seen: list[Tensor] = []
    pool = question.model.pool
    handle = pool.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    try:
        with captured_attention(question.model) as attended:
            question.logits()
    finally:
        handle.remove()
    (x,) = seen
    # shares are multiplied in float32, whatever the model computes in
    with torch.autocast(x.device.type, enabled=False):
        rolled = rolled_out([each.weights.float() for each in attended])
        cls = rolled.shape[2] - question.real.shape[1]
        mask = torch.nn.functional.pad(question.real, (cls, 0), value=True)
        weighted = pool_weights(pool, x.float(), mask)[:, None] @ rolled
    return weighted[:, 0, cls:].masked_fill(~question.real, 0.0)


@torch.no_grad()
def cross_attention(question: SequenceQuestion) -> Float[Tensor, "rows parts"]:
    """What each written token takes from each source token: the mean over heads and decoder layers.

    It points at places of the source after the encoder has mixed them, as far as it has.
    """
    with captured_attention(question.model) as attended:
        question.logits()
    crossed = [each.weights.float().mean(1) for each in attended if each.kind == "cross-attention"]
    rows = torch.arange(len(question), device=question.place.device)
    return torch.stack(crossed).mean(0)[rows, question.place].masked_fill(~question.real, 0.0)
