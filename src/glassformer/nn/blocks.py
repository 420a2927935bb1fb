"""Encoder blocks: they wire attention, feed-forward layer, norms and residuals together, and compute nothing.

The two places for the norm are two classes of one signature.
"""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor, nn

from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias
from glassformer.nn.stochastic_depth import StochasticDepth


class EncoderBlock(nn.Module, ABC):
    """What both blocks own: attention, feed-forward layer, a layer norm for each, dropout, stochastic depth.

    attention: a module called as attention(x, mask=..., bias=..., return_weights=...), such as
    `MultiHeadAttention`, and with only_first=... where the block is; feed_forward: a module from x to x, such
    as `FeedForward`.
    dropout: the rate on what each of the two adds to the residual stream; 0 costs nothing.
    stochastic_depth: the rate at which an example skips each of the two, after the dropout, each by a draw of
    its own (see `StochasticDepth`); 0 costs nothing.
    eps: of the layer norms, (x - mean) / sqrt(variance + eps) * gamma + beta.
    """

    def __init__(
        self,
        attention: nn.Module,
        feed_forward: nn.Module,
        d_model: int,
        *,
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.attention = attention
        self.feed_forward = feed_forward
        self.attention_norm = nn.LayerNorm(d_model, eps=eps)
        self.feed_forward_norm = nn.LayerNorm(d_model, eps=eps)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.stochastic_depth = StochasticDepth(stochastic_depth) if stochastic_depth else nn.Identity()

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        return_weights: bool = False,
        only_first: int | None = None,
    ) -> (
        Float[Tensor, "batch asked d_model"]
        | tuple[Float[Tensor, "batch asked d_model"], Float[Tensor, "batch *heads asked tokens"]]
    ):
        """x: (batch tokens d_model); mask and bias go to the attention as they are.

        only_first: the output is of so many of the first tokens, which attend to all; None: of all tokens.
        For a last block of which little is read: what follows Q, K and V is computed for these alone.
        With return_weights, the output and the weights of the attention, (batch heads asked tokens).
        """

    def _attend(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        mask: Mask | Bool[Tensor, "..."] | None,
        bias: AlibiBias | Float[Tensor, "..."] | None,
        return_weights: bool,
        only_first: int | None,
    ) -> tuple[Tensor, Tensor | None]:
        fewer = {} if only_first is None else {"only_first": only_first}
        y = self.attention(x, mask=mask, bias=bias, return_weights=return_weights, **fewer)
        return y if return_weights else (y, None)

    def _dropped(self, y: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        return self.stochastic_depth(self.dropout(y))


class PreNormBlock(EncoderBlock):
    """h = x + drop(attention(norm_1(x))),  y = h + drop(FFN(norm_2(h))), drop: dropout, stochastic depth.

    Arguments and shapes: `EncoderBlock`. The residual stream is never normalised, so a stack of these
    wants one more norm at its end.

    Source: Xiong et al. 2020, 'On Layer Normalization in the Transformer Architecture', table 1.
    """

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        return_weights: bool = False,
        only_first: int | None = None,
    ) -> (
        Float[Tensor, "batch asked d_model"]
        | tuple[Float[Tensor, "batch asked d_model"], Float[Tensor, "batch *heads asked tokens"]]
    ):
        attended, weights = self._attend(self.attention_norm(x), mask, bias, return_weights, only_first)
        h = x[:, :only_first] + self._dropped(attended)
        y = h + self._dropped(self.feed_forward(self.feed_forward_norm(h)))
        return y if weights is None else (y, weights)


class PostNormBlock(EncoderBlock):
    """h = norm_1(x + drop(attention(x))),  y = norm_2(h + drop(FFN(h))), drop: dropout, stochastic depth.

    Arguments and shapes: `EncoderBlock`.

    Source: Vaswani et al. 2017, sections 3.1 and 5.4.
    """

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        return_weights: bool = False,
        only_first: int | None = None,
    ) -> (
        Float[Tensor, "batch asked d_model"]
        | tuple[Float[Tensor, "batch asked d_model"], Float[Tensor, "batch *heads asked tokens"]]
    ):
        attended, weights = self._attend(x, mask, bias, return_weights, only_first)
        h = self.attention_norm(x[:, :only_first] + self._dropped(attended))
        y = self.feed_forward_norm(h + self._dropped(self.feed_forward(h)))
        return y if weights is None else (y, weights)
