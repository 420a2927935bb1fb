"""Decoder blocks: masked self-attention, attention to a context, feed-forward layer.

As for encoder blocks, the two places for the norm are two classes of one signature.
"""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn

from glassformer.nn.cache import KeyValueCache
from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias

BlockCache = tuple[KeyValueCache, KeyValueCache]
"""Of the self-attention, and of the attention to the context."""


class DecoderBlock(nn.Module, ABC):
    """What both blocks own: two attentions, a feed-forward layer, a layer norm for each, dropout.

    self_attention, cross_attention: modules called as attention(x, context, mask=..., bias=...,
    return_weights=..., cache=...), such as `MultiHeadAttention`; feed_forward: a module from x to x.
    dropout: the rate on what each of the three adds to the residual stream; 0 costs nothing.
    eps: of the layer norms.
    """

    def __init__(
        self,
        self_attention: nn.Module,
        cross_attention: nn.Module,
        feed_forward: nn.Module,
        d_model: int,
        *,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.self_attention = self_attention
        self.cross_attention = cross_attention
        self.feed_forward = feed_forward
        self.self_attention_norm = nn.LayerNorm(d_model, eps=eps)
        self.cross_attention_norm = nn.LayerNorm(d_model, eps=eps)
        self.feed_forward_norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "batch targets d_model"],
        context: Float[Tensor, "batch sources d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        context_mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        cache: BlockCache | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch targets d_model"] | tuple[Tensor, Tensor, Tensor]:
        """x and the output: (batch targets d_model); context: what the encoder made, (batch sources d_model).

        mask and bias are the self-attention's, and nothing here is causal by itself: give
        `Mask(causal=True)`. context_mask: which sources each target may attend to.
        cache: with it x holds the tokens after those of earlier calls (see `KeyValueCache`).
        With return_weights: the output, the weights of the self-attention (batch heads targets targets), and
        those of the attention to the context (batch heads targets sources).
        """

    def _attend(
        self,
        x: Tensor,
        mask: Mask | Tensor | None,
        bias: AlibiBias | Tensor | None,
        cache: BlockCache | None,
        return_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        y = self.self_attention(
            x, mask=mask, bias=bias, return_weights=return_weights, cache=cache[0] if cache else None
        )
        return y if return_weights else (y, None)

    def _attend_to(
        self,
        context: Tensor,
        x: Tensor,
        mask: Mask | Tensor | None,
        cache: BlockCache | None,
        return_weights: bool,
    ) -> tuple[Tensor, Tensor | None]:
        y = self.cross_attention(
            x, context, mask=mask, return_weights=return_weights, cache=cache[1] if cache else None
        )
        return y if return_weights else (y, None)


class PreNormDecoderBlock(DecoderBlock):
    """h = x + drop(attention(norm_1(x))),  g = h + drop(attention(norm_2(h), context)),
    y = g + drop(FFN(norm_3(g))).

    Arguments and shapes: `DecoderBlock`. The context is not normalised here: the encoder's stack ends in a
    norm of its own.

    Source: Xiong et al. 2020, table 1, with the third sub-layer of Vaswani et al. 2017, section 3.1.
    """

    def forward(
        self,
        x: Float[Tensor, "batch targets d_model"],
        context: Float[Tensor, "batch sources d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        context_mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        cache: BlockCache | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch targets d_model"] | tuple[Tensor, Tensor, Tensor]:
        attended, weights = self._attend(self.self_attention_norm(x), mask, bias, cache, return_weights)
        h = x + self.dropout(attended)
        attended, context_weights = self._attend_to(
            context, self.cross_attention_norm(h), context_mask, cache, return_weights
        )
        g = h + self.dropout(attended)
        y = g + self.dropout(self.feed_forward(self.feed_forward_norm(g)))
        return y if weights is None or context_weights is None else (y, weights, context_weights)


class PostNormDecoderBlock(DecoderBlock):
    """h = norm_1(x + drop(attention(x))),  g = norm_2(h + drop(attention(h, context))),
    y = norm_3(g + drop(FFN(g))).

    Arguments and shapes: `DecoderBlock`.

    Source: Vaswani et al. 2017, sections 3.1 and 5.4.
    """

    def forward(
        self,
        x: Float[Tensor, "batch targets d_model"],
        context: Float[Tensor, "batch sources d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        context_mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        cache: BlockCache | None = None,
        return_weights: bool = False,
    ) -> Float[Tensor, "batch targets d_model"] | tuple[Tensor, Tensor, Tensor]:
        attended, weights = self._attend(x, mask, bias, cache, return_weights)
        h = self.self_attention_norm(x + self.dropout(attended))
        attended, context_weights = self._attend_to(context, h, context_mask, cache, return_weights)
        g = self.cross_attention_norm(h + self.dropout(attended))
        y = self.feed_forward_norm(g + self.dropout(self.feed_forward(g)))
        return y if weights is None or context_weights is None else (y, weights, context_weights)
