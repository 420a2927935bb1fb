"""The smaller parts as the exercises ask for them, where `glassformer.nn` has them for more cases."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class SinusoidalPositions(nn.Module):
    """y[b, t] = x[b, t] + p[t],  p[t, 2i] = sin(t / 10000^(2i / d_model)),  p[t, 2i + 1] = cos(the same).

    x, y: (batch, tokens, d_model), any number of tokens. t counts from 0; an odd d_model drops the last
    cosine. No parameters.

    Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        t = torch.arange(x.shape[1], dtype=torch.float64, device=x.device)
        even = torch.arange(0, self.d_model, 2, dtype=torch.float64, device=x.device)
        angle = t[:, None] / 10000 ** (even / self.d_model)
        p = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, : self.d_model]
        return x + p.to(x.dtype)


class LayerNorm(nn.Module):
    """y = gamma (x - mean) / sqrt(variance + eps) + beta, over the features of each token alone.

    x, y: (..., features); gamma starts at 1, beta at 0. The variance is the biased one, divided by the number
    of features.

    Source: Ba et al. 2016, 'Layer Normalization'.
    """

    def __init__(self, features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features))
        self.beta = nn.Parameter(torch.zeros(features))
        self.eps = eps

    def forward(self, x: Float[Tensor, "... features"]) -> Float[Tensor, "... features"]:
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return self.gamma * centred / torch.sqrt(variance + self.eps) + self.beta


def causal_mask(tokens: int) -> Bool[Tensor, "tokens tokens"]:
    """mask[i, j] = j <= i, True = may attend: token i sees the tokens up to and including itself.

    Source: Vaswani et al. 2017, section 3.2.3.
    """
    places = torch.arange(tokens)
    return places <= places[:, None]


def padding_mask(lengths: Int[Tensor, " batch"], tokens: int) -> Bool[Tensor, "batch tokens"]:
    """mask[b, t] = t < lengths[b], True = a real token: one row for each sequence, of so many tokens."""
    return torch.arange(tokens, device=lengths.device) < lengths[:, None]


def next_token_loss(
    logits: Float[Tensor, "batch tokens vocab"], ids: Int[Tensor, "batch tokens"], padding: int = 0
) -> Float[Tensor, ""]:
    """The mean of -ln softmax(logits[b, t])[ids[b, t + 1]] over all b, t whose ids[b, t + 1] is not padding.

    logits: (batch, tokens, vocab), logits[:, t] for the token after ids[:, t]; ids: (batch, tokens).
    """
    logs, targets = logits[:, :-1].log_softmax(dim=-1), ids[:, 1:]
    losses = -logs.gather(-1, targets[..., None])[..., 0]
    real = (targets != padding).to(losses.dtype)
    return (losses * real).sum() / real.sum()
