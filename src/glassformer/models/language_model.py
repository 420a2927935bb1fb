"""Models that predict tokens: those that were left out (BERT), or the next one (GPT-2)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glassformer.models.choices import ACTIVATION
from glassformer.models.encoder import Encoder
from glassformer.models.encoder_config import EncoderConfig


class MaskedLanguageModel(nn.Module):
    """logits = norm(activation(V hidden + c)) E^T + b, hidden = encoder(ids): the token at each place.

    ids, mask: as `Encoder` has them; logits: (batch tokens vocab). E is the token embedding, shared.
    places: (chosen,) numbers of tokens, counted through the batch; then logits are (chosen, vocab), and what
    nobody asks for is not computed.

    Source: Devlin et al. 2019, section 3.1, task 1, and its code.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.head = TokenHead(config)

    def forward(
        self,
        ids: Int[Tensor, "batch tokens"],
        mask: Bool[Tensor, "batch tokens"] | None = None,
        places: Int[Tensor, " chosen"] | None = None,
    ) -> Float[Tensor, "... vocab"]:
        hidden = self.encoder(ids, mask)
        if places is not None:
            hidden = hidden.flatten(0, 1)[places]
        return self.head(hidden, self.encoder.embed.embedding.weight)


class TokenHead(nn.Module):
    """norm(activation(V x + c)) E^T + b, E given."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.d_model, config.d_model)
        self.activation = ACTIVATION[config.activation]
        self.norm = nn.LayerNorm(config.d_model, eps=config.eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab))
        nn.init.normal_(self.hidden.weight, std=0.02)
        nn.init.zeros_(self.hidden.bias)

    def forward(
        self, x: Float[Tensor, "... d_model"], embedding: Float[Tensor, "vocab d_model"]
    ) -> Float[Tensor, "... vocab"]:
        return functional.linear(self.norm(self.activation(self.hidden(x))), embedding, self.bias)


class CausalLanguageModel(nn.Module):
    """logits = encoder(ids) E^T: which token comes after each. E is the token embedding, shared.

    ids, mask: as `Encoder` has them; logits: (batch tokens vocab). Raises ValueError where the encoder is not
    causal.

    Source: Radford et al. 2019 (GPT-2), section 2.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        if not config.causal:
            raise ValueError("a model that predicts the next token must not see it; set causal=True")
        self.config = config
        self.encoder = Encoder(config)

    def forward(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch tokens vocab"]:
        return functional.linear(self.encoder(ids, mask), self.encoder.embed.embedding.weight)
