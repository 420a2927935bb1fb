"""Token embeddings: from integers to vectors."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class TokenEmbedding(nn.Module):
    """y[b, t] = E[ids[b, t]],  or sqrt(d_model) E[ids[b, t]] with `scale=True`.

    ids: (batch tokens), integers below vocab; y: (batch tokens d_model); E: (vocab d_model), learned.
    Either way y starts with unit variance: E ~ N(0, 1), and N(0, 1 / d_model) when scaled.
    Raises IndexError for an id of vocab or more.

    Source: Vaswani et al. 2017, section 3.4, which scales. Deviation: we do not unless asked. The factor is
    there because the paper shares E with the output projection, whose entries want variance 1 / d_model.
    """

    def __init__(self, vocab: int, d_model: int, *, scale: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, d_model)
        self.factor = math.sqrt(d_model) if scale else None
        if scale:
            nn.init.normal_(self.embedding.weight, std=d_model**-0.5)

    def forward(self, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens d_model"]:
        y: torch.Tensor = self.embedding(ids)
        return y if self.factor is None else y * self.factor
