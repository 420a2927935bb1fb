"""The transformer of 'Attention Is All You Need': an encoder for the source, a decoder for the target."""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glassformer.models.choices import ACTIVATION, ATTENTION, BLOCK
from glassformer.models.configs import EncoderDecoderConfig
from glassformer.nn.cache import KeyValueCache
from glassformer.nn.decoder_blocks import BlockCache, PostNormDecoderBlock, PreNormDecoderBlock
from glassformer.nn.embeddings import TokenEmbedding
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.masks import Mask
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.nn.positions import AlibiBias, LearnedPositions, RotaryPositions, SinusoidalPositions

DECODER_BLOCK = {"pre": PreNormDecoderBlock, "post": PostNormDecoderBlock}


class EncoderDecoder(nn.Module):
    """logits[t] = W decoder(embed(target[: t + 1]), encoder(embed(source))): of the token after target[t].

    Each side is a stack of blocks over embedded tokens with positions; every decoder block also attends to
    what the encoder's last block made of the source. No target sees a later one. Embeddings are scaled by
    sqrt(d_model); with config.tie_output W is the target's embedding, which then has no bias. Pre-norm stacks
    end in one more layer norm each.

    Source: Vaswani et al. 2017, section 3. Deviations: pre-norm unless told otherwise; no bias in W, as in
    the authors' code.
    """

    def __init__(self, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.config = config
        d_model, heads = config.d_model, config.heads
        self.embed = TokenEmbedding(config.vocab, d_model, scale=True)
        separate = config.embeddings == "separate"
        self.embed_target = TokenEmbedding(config.vocab, d_model, scale=True) if separate else None
        self.positions = _added_positions(config.positions, d_model, config.max_tokens)
        self.target_positions = _added_positions(config.positions, d_model, config.max_targets)
        self.bias = AlibiBias(heads) if config.positions == "alibi" else None
        self.dropout = nn.Dropout(config.dropout)

        def attention(rotary: RotaryPositions | None = None) -> MultiHeadAttention:
            return MultiHeadAttention(d_model, heads, attention=ATTENTION[config.attention], rotary=rotary)

        def feed_forward() -> FeedForward:
            return FeedForward(d_model, config.d_ff, activation=ACTIVATION[config.activation])

        rotary = RotaryPositions(d_model // heads) if config.positions == "rotary" else None
        self.encoder_blocks = nn.ModuleList(
            BLOCK[config.norm](attention(rotary), feed_forward(), d_model, dropout=config.dropout)
            for _ in range(config.encoder_layers)
        )
        self.decoder_blocks = nn.ModuleList(
            DECODER_BLOCK[config.norm](
                attention(rotary), attention(), feed_forward(), d_model, dropout=config.dropout
            )
            for _ in range(config.decoder_layers)
        )
        ends = config.norm == "pre"
        self.encoder_norm = nn.LayerNorm(d_model) if ends else nn.Identity()
        self.decoder_norm = nn.LayerNorm(d_model) if ends else nn.Identity()
        self.output = None if config.tie_output else nn.Linear(d_model, config.vocab, bias=False)

    def forward(
        self,
        source: Int[Tensor, "batch sources"],
        target: Int[Tensor, "batch targets"],
        source_mask: Bool[Tensor, "batch sources"] | None = None,
        target_mask: Bool[Tensor, "batch targets"] | None = None,
    ) -> Float[Tensor, "batch targets vocab"]:
        """target begins with a start token. The masks are True at real tokens, None where all are."""
        return self.decode(target, self.encode(source, source_mask), source_mask, target_mask)

    def encode(
        self, source: Int[Tensor, "batch sources"], source_mask: Bool[Tensor, "batch sources"] | None = None
    ) -> Float[Tensor, "batch sources d_model"]:
        """What the encoder makes of the source."""
        x = self._at_work(self.dropout(_placed(self.positions, self.embed(source), 0)))
        attend = None if source_mask is None else Mask(keys=source_mask)
        for block in self.encoder_blocks:
            x = block(x, mask=attend, bias=self.bias)
        return self.encoder_norm(x)

    def decode(
        self,
        target: Int[Tensor, "batch targets"],
        context: Float[Tensor, "batch sources d_model"],
        source_mask: Bool[Tensor, "batch sources"] | None = None,
        target_mask: Bool[Tensor, "batch targets"] | None = None,
        cache: list[BlockCache] | None = None,
    ) -> Float[Tensor, "batch targets vocab"]:
        """Logits of the token after each target.

        context: of `encode`. cache: of `new_cache`; with it, target holds the tokens after those of earlier
        calls, and target_mask covers them all.
        """
        embed = self.embed_target or self.embed
        first = cache[0][0].tokens if cache else 0
        x = self._at_work(self.dropout(_placed(self.target_positions, embed(target), first)))
        attend, attend_to = Mask(target_mask, causal=True), None
        if source_mask is not None:
            attend_to = Mask(keys=source_mask)
        for number, block in enumerate(self.decoder_blocks):
            x = block(x, context, attend, attend_to, self.bias, cache[number] if cache else None)
        x = self.decoder_norm(x)
        return functional.linear(x, embed.embedding.weight) if self.output is None else self.output(x)

    def new_cache(self) -> list[BlockCache]:
        """Room for the keys and values of one batch, a pair of caches a decoder block."""
        return [(KeyValueCache(), KeyValueCache()) for _ in self.decoder_blocks]

    @staticmethod
    def _at_work(x: Tensor) -> Tensor:
        # or the residual stream stays in fp32, and every sum with a bf16 output costs a conversion
        kind = x.device.type
        return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def _added_positions(kind: str, d_model: int, tokens: int) -> nn.Module | None:
    if kind == "sinusoidal":
        return SinusoidalPositions(d_model)
    return LearnedPositions(d_model, tokens) if kind == "learned" else None


def _placed(positions: nn.Module | None, x: Tensor, first: int) -> Tensor:
    return x if positions is None else positions(x, first)


class CachedSteps:
    """A step function for `glassformer.decoding` that computes each token's keys and values once.

    It is its own state: of the prefixes it is given it decodes the tokens that are new.
    """

    def __init__(
        self,
        model: EncoderDecoder,
        source: Int[Tensor, "rows sources"],
        source_mask: Bool[Tensor, "rows sources"] | None = None,
    ) -> None:
        self.model = model
        self.context = model.encode(source, source_mask)
        self.source_mask = source_mask
        self.cache = model.new_cache()

    def __call__(self, prefixes: Int[Tensor, "rows tokens"], state: object = None) -> tuple[Tensor, Any]:
        new = prefixes[:, self.cache[0][0].tokens :]
        logits = self.model.decode(new, self.context, self.source_mask, cache=self.cache)
        return logits[:, -1], self

    def take(self, rows: Int[Tensor, " taken"]) -> None:
        """Keeps these rows, in this order; see `glassformer.decoding`."""
        self.context = self.context[rows]
        self.source_mask = None if self.source_mask is None else self.source_mask[rows]
        for pair in self.cache:
            for cache in pair:
                cache.take(rows)
