"""The encoder that published weights run in: BERT's and its kin's, and GPT-2's with a causal mask."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glassformer.models.choices import ACTIVATION, ATTENTION, BLOCK, POOL, READ
from glassformer.models.encoder_config import EncoderConfig, PretrainedClassifierConfig
from glassformer.nn.embeddings import TokenEmbedding
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.masks import Mask
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.nn.positions import LearnedPositions


class Encoder(nn.Module):
    """hidden = norm(blocks(dropout(norm_0(E[ids] + T[types] + P[place])))).

    ids, types: (batch tokens), integers; mask: (batch tokens), True = a real token; hidden: (batch tokens
    d_model). types: which of two texts a token is of; without them all are of the first. E, T, P are learned;
    T is there where config.token_types is not 0, norm_0 where config.embedding_norm, and the last norm after
    pre-norm blocks. config.first_position: the row of P for the first token. config.causal: a token sees
    those before it alone. only_first: hidden is of so many of the first tokens, of all with None; the last
    block then computes no others.

    Raises ValueError for more tokens than P has rows.

    Sources: Devlin et al. 2019 (BERT), section 3 and its code (post-norm); Liu et al. 2019 (RoBERTa), which
    counts places from 2; Sanh et al. 2019 (DistilBERT), without token types; Radford et al. 2019 (GPT-2),
    section 2.3 (pre-norm, causal). Deviation: no dropout on the attention's weights.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        config.require_whole()
        self.config = config
        d_model = config.d_model
        self.embed = TokenEmbedding(config.vocab, d_model)
        self.token_types = nn.Embedding(config.token_types, d_model) if config.token_types else None
        self.positions = LearnedPositions(d_model, config.first_position + config.max_tokens)
        self.embedding_norm = (
            nn.LayerNorm(d_model, eps=config.eps) if config.embedding_norm else nn.Identity()
        )
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
        self.blocks = nn.ModuleList(
            BLOCK[config.norm](
                MultiHeadAttention(d_model, config.heads, attention=ATTENTION[config.attention]),
                FeedForward(d_model, config.d_ff, activation=ACTIVATION[config.activation]),
                d_model,
                dropout=config.dropout,
                eps=config.eps,
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(d_model, eps=config.eps) if config.norm == "pre" else nn.Identity()
        for module in self.modules():  # as in BERT's code
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(
        self,
        ids: Int[Tensor, "batch tokens"],
        mask: Bool[Tensor, "batch tokens"] | None = None,
        types: Int[Tensor, "batch tokens"] | None = None,
        only_first: int | None = None,
    ) -> Float[Tensor, "batch asked d_model"]:
        x = self.embed(ids)
        if self.token_types is not None:
            x = x + (self.token_types.weight[0] if types is None else self.token_types(types))
        x = self.positions(x, first=self.config.first_position)
        x = self.dropout(self.embedding_norm(x))
        if torch.is_autocast_enabled(x.device.type):
            # or the residual stream stays in fp32, and every sum with a bf16 output costs a conversion
            x = x.to(torch.get_autocast_dtype(x.device.type))
        causal = self.config.causal
        attend = Mask(causal=causal, keys=mask) if causal or mask is not None else None
        *lower, last = self.blocks
        for block in lower:
            x = block(x, mask=attend)
        return self.norm(last(x, mask=attend, only_first=only_first))


class EncoderClassifier(nn.Module):
    """logits = W dropout(pool(encoder(ids))) + b, or with a dense layer and its activation before W.

    ids, mask: as `Encoder` has them; logits: (batch classes). Frozen blocks, and the embeddings with them, do
    not learn.

    Source: Devlin et al. 2019, section 4.1 (the first token, a dense layer with tanh, a linear map).
    """

    def __init__(self, config: PretrainedClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.pool = POOL[config.pool]()
        self.read = READ.get(config.pool)
        self.head = ClassifierHead(config.d_model, config.classes, config.head, config.dropout)
        freeze(self.encoder, config.frozen)

    @property
    def embed(self) -> TokenEmbedding:
        """The token embedding, where every text model has it."""
        return self.encoder.embed

    def forward(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch classes"]:
        return self.head(self.pool(self.encoder(ids, mask, only_first=self.read), mask))


def freeze(model: nn.Module, blocks: int) -> None:
    """Keeps the lowest `blocks` of model.blocks, and what is before them, as they are; -1: all but a head."""
    for name, parameter in model.named_parameters() if blocks else []:
        part, _, rest = name.partition(".")
        above = part == "head" or (blocks != -1 and part == "norm")
        if part == "blocks" and blocks != -1:
            above = int(rest.partition(".")[0]) >= blocks
        if not above:
            parameter.requires_grad_(False)


class ClassifierHead(nn.Module):
    """W dropout(x) + b;  with kind 'tanh' or 'relu', x is kind(V x' + c) of what was given."""

    def __init__(self, d_model: int, classes: int, kind: str = "linear", dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden = None if kind == "linear" else nn.Linear(d_model, d_model)
        self.activation = {"linear": nn.Identity(), "tanh": nn.Tanh(), "relu": nn.ReLU()}[kind]
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.output = nn.Linear(d_model, classes)
        for layer in (self.hidden, self.output):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "batch d_model"]) -> Float[Tensor, "batch classes"]:
        if self.hidden is not None:
            x = self.activation(self.hidden(x))
        return self.output(self.dropout(x))
