"""Sheet E: a network in NumPy with its gradients, and the encoder-decoder that reverses integers."""

import math

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor, nn

from glassformer.baselines.network import sigmoid
from glassformer.exercises.reference.attention import MultiHeadAttention
from glassformer.exercises.reference.parts import SinusoidalPositions, causal_mask
from glassformer.nn.feedforward import FeedForward


def backward(
    X: Float64[np.ndarray, "rows features"],
    y: Int64[np.ndarray, " rows"],
    W1: Float64[np.ndarray, "features hidden"],
    b1: Float64[np.ndarray, " hidden"],
    W2: Float64[np.ndarray, "hidden 1"],
    b2: Float64[np.ndarray, "1"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The gradients (dW1, db1, dW2, db2) of L = -(1/n) sum_i [y_i ln p_i + (1 - y_i) ln(1 - p_i)].

    Z1 = X W1 + b1,  A1 = sigmoid(Z1),  Z2 = A1 W2 + b2,  p = sigmoid(Z2); n rows, y of 0 and 1.
    X: (rows, features); y: (rows,); each gradient has the shape of what it is the gradient of.
    NumPy alone: the chain rule, written out from the loss back to the weights.

    Source: Rumelhart, Hinton & Williams 1986, 'Learning representations by back-propagating errors'.
    """
    A1 = sigmoid(X @ W1 + b1)
    p = sigmoid(A1 @ W2 + b2)
    dZ2 = (p - y.reshape(-1, 1)) / len(y)
    dZ1 = dZ2 @ W2.T * A1 * (1 - A1)
    return X.T @ dZ1, dZ1.sum(axis=0), A1.T @ dZ2, dZ2.sum(axis=0)


class EncoderBlock(nn.Module):
    """h = x + attention(norm_1(x)),  y = h + FFN(norm_2(h)): the norm comes before each.

    x, y: (batch, tokens, d_model). attention: `MultiHeadAttention`; FFN: `FeedForward`; norms:
    nn.LayerNorm(d_model). padding: (batch, tokens), True = a real token, the others are not attended to.

    Source: Xiong et al. 2020, 'On Layer Normalization in the Transformer Architecture', table 1.
    """

    def __init__(self, d_model: int, heads: int, d_ff: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = MultiHeadAttention(d_model, heads)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model, d_ff)

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        padding: Bool[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch tokens d_model"]:
        mask = None if padding is None else padding[:, None, None, :]
        h = x + self.attention(self.attention_norm(x), mask=mask)
        return h + self.feed_forward(self.feed_forward_norm(h))


class DecoderBlock(nn.Module):
    """h = x + attention(norm_1(x)),  g = h + attention(norm_2(h), memory),  y = g + FFN(norm_3(g)).

    x, y: (batch, targets, d_model); memory, what the encoder made: (batch, sources, d_model). The first
    attention is causal: a target sees itself and those before it. memory_padding: (batch, sources), True = a
    real token. attention: `MultiHeadAttention`, one each; FFN: `FeedForward`; norms: nn.LayerNorm(d_model).

    Source: Vaswani et al. 2017, section 3.1, with the norms where Xiong et al. 2020 put them.
    """

    def __init__(self, d_model: int, heads: int, d_ff: int) -> None:
        super().__init__()
        self.self_attention_norm = nn.LayerNorm(d_model)
        self.self_attention = MultiHeadAttention(d_model, heads)
        self.cross_attention_norm = nn.LayerNorm(d_model)
        self.cross_attention = MultiHeadAttention(d_model, heads)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model, d_ff)

    def forward(
        self,
        x: Float[Tensor, "batch targets d_model"],
        memory: Float[Tensor, "batch sources d_model"],
        memory_padding: Bool[Tensor, "batch sources"] | None = None,
    ) -> Float[Tensor, "batch targets d_model"]:
        causal = causal_mask(x.shape[1]).to(x.device)[None, None]
        seen = None if memory_padding is None else memory_padding[:, None, None, :]
        h = x + self.self_attention(self.self_attention_norm(x), mask=causal)
        g = h + self.cross_attention(self.cross_attention_norm(h), memory, mask=seen)
        return g + self.feed_forward(self.feed_forward_norm(g))


class EncoderDecoder(nn.Module):
    """logits[t] = W norm(decoder(embed(target[: t + 1]), encoder(embed(source)))) + b, of the token after t.

    source: (batch, sources), target: (batch, targets), integers below vocab; logits: (batch, targets, vocab).
    The target begins with a start token: the caller shifts it. Id 0 is padding of the source.
    embed: one embedding a side, times sqrt(d_model), with sinusoidal positions added. `layers` blocks on each
    side (`EncoderBlock`, `DecoderBlock`), each stack ending in one more layer norm.

    Source: Vaswani et al. 2017, section 3.
    """

    def __init__(self, vocab: int, d_model: int, heads: int, layers: int, d_ff: int) -> None:
        super().__init__()
        self.source_embedding = nn.Embedding(vocab, d_model)
        self.target_embedding = nn.Embedding(vocab, d_model)
        self.positions = SinusoidalPositions(d_model)
        self.encoder = nn.ModuleList(EncoderBlock(d_model, heads, d_ff) for _ in range(layers))
        self.encoder_norm = nn.LayerNorm(d_model)
        self.decoder = nn.ModuleList(DecoderBlock(d_model, heads, d_ff) for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(d_model)
        self.output = nn.Linear(d_model, vocab)

    def forward(
        self, source: Int[Tensor, "batch sources"], target: Int[Tensor, "batch targets"]
    ) -> Float[Tensor, "batch targets vocab"]:
        factor = math.sqrt(self.source_embedding.embedding_dim)
        real = source != 0
        memory = self.positions(self.source_embedding(source) * factor)
        for block in self.encoder:
            memory = block(memory, real)
        memory = self.encoder_norm(memory)
        x = self.positions(self.target_embedding(target) * factor)
        for block in self.decoder:
            x = block(x, memory, real)
        return self.output(self.decoder_norm(x))
