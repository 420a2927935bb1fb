"""A transformer encoder that puts a sequence of tokens into one of several classes."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glassformer.models.choices import ACTIVATION, ATTENTION, BLOCK, POOL, READ
from glassformer.models.configs import TextClassifierConfig
from glassformer.nn.embeddings import TokenEmbedding
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.masks import Mask
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.nn.positions import AlibiBias, LearnedPositions, RotaryPositions, SinusoidalPositions


class TextClassifier(nn.Module):
    """logits = W pool(blocks(positions(embed(ids)))) + b.

    With pool='cls' a learned vector is put before the tokens (Devlin et al. 2019, section 3), and the
    classifier reads what the blocks made of it. Pre-norm stacks end in one more layer norm.

    Source: the encoder of Vaswani et al. 2017, section 3.1; sheets of exercises put the mean over the
    sequence and one linear layer behind it.
    """

    def __init__(self, config: TextClassifierConfig) -> None:
        super().__init__()
        self.config = config
        d_model, heads = config.d_model, config.heads
        self.embed = TokenEmbedding(config.vocab, d_model)
        nn.init.normal_(self.embed.embedding.weight, std=config.embedding_std)
        self.cls = nn.Parameter(torch.zeros(d_model)) if config.pool == "cls" else None
        tokens = config.max_tokens + (config.pool == "cls")
        self.positions = (
            SinusoidalPositions(d_model)
            if config.positions == "sinusoidal"
            else LearnedPositions(d_model, tokens)
            if config.positions == "learned"
            else nn.Identity()
        )
        self.bias = AlibiBias(heads) if config.positions == "alibi" else None
        rotary = RotaryPositions(d_model // heads) if config.positions == "rotary" else None
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.blocks = nn.ModuleList(
            BLOCK[config.norm](
                MultiHeadAttention(d_model, heads, attention=ATTENTION[config.attention], rotary=rotary),
                FeedForward(d_model, config.d_ff, activation=ACTIVATION[config.activation]),
                d_model,
                dropout=config.dropout,
            )
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(d_model) if config.norm == "pre" else nn.Identity()
        self.pool = POOL[config.pool]()
        self.read = READ.get(config.pool)
        self.head = nn.Linear(d_model, config.classes)

    def forward(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch classes"]:
        x = self.embed(ids)
        if self.cls is not None:
            # x.shape, since len would fix the size of the batch where the model is traced
            x = torch.cat([self.cls.to(x.dtype).expand(x.shape[0], 1, -1), x], dim=1)
            mask = None if mask is None else nn.functional.pad(mask, (1, 0), value=True)
        x = self.dropout(self.positions(x))
        if torch.is_autocast_enabled(x.device.type):
            # or the residual stream stays in fp32, and every sum with a bf16 output costs a conversion
            x = x.to(torch.get_autocast_dtype(x.device.type))
        attend = None if mask is None else Mask(keys=mask)
        *lower, last = self.blocks
        for block in lower:
            x = block(x, mask=attend, bias=self.bias)
        x = last(x, mask=attend, bias=self.bias, only_first=self.read)
        return self.head(self.pool(self.norm(x), mask))
