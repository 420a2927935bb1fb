"""Pooling: from one vector per token to one vector per sequence.

All take x: (batch tokens d_model) and mask: (batch tokens), True = a real token, or None when all are; all
give (batch d_model). A row without a real token gives zeros, with zero gradients.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class MeanPool(nn.Module):
    """y[b] = sum_t mask[b, t] x[b, t] / sum_t mask[b, t]: the mean over the real tokens.

    Values at padded tokens must be finite, as they are multiplied by zero.
    """

    def forward(
        self, x: Float[Tensor, "batch tokens d_model"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch d_model"]:
        if mask is None:
            return x.mean(dim=1)
        # Weights that sum to one, then one product: no masked copy of x, forwards or backwards.
        weights = mask.to(x.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        return (weights.to(x.dtype)[:, None] @ x)[:, 0]


class MaxPool(nn.Module):
    """y[b, c] = max over the real tokens t of x[b, t, c]. Tied maxima share the gradient evenly."""

    def forward(
        self, x: Float[Tensor, "batch tokens d_model"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch d_model"]:
        if mask is None:
            return x.amax(dim=1)
        highest = x.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1)
        return highest.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


class ClsPool(nn.Module):
    """y[b] = x[b, 0]: the first token, where the model has put its learned CLS token.

    The mask decides only whether a row is empty, so a CLS token must be marked real; x may be shorter.

    Source: Devlin et al. 2019 (BERT), section 3. Deviation: no further linear map and tanh here.
    """

    def forward(
        self, x: Float[Tensor, "batch first d_model"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch d_model"]:
        first = x[:, 0]
        return first if mask is None else first.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)


class LastPool(nn.Module):
    """y[b] = x[b, t], t the last real token: the only one that has seen all others under a causal mask.

    Source: Radford et al. 2018 (GPT), section 3.2.
    """

    def forward(
        self, x: Float[Tensor, "batch tokens d_model"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch d_model"]:
        if mask is None:
            return x[:, -1]
        places = torch.arange(mask.shape[1], device=mask.device)
        last = (mask * places).amax(dim=1)
        # x.shape, since len would fix the size of the batch where the model is traced
        chosen = x[torch.arange(x.shape[0], device=x.device), last]
        return chosen.masked_fill(~mask.any(dim=1, keepdim=True), 0.0)
