"""Sheet D's block and its classifier of film reviews."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from glassformer.exercises.reference.attention import WideMultiHeadAttention


class TransformerBlock(nn.Module):
    """h = norm_1(x + attention(x)),  y = norm_2(h + W_2 relu(W_1 h + b_1) + b_2): a norm after each residual.

    x, y: (batch, tokens, d_model); inside the feed-forward layer (batch, tokens, d_ff).
    attention: `WideMultiHeadAttention`; norms: nn.LayerNorm(d_model).

    Source: Vaswani et al. 2017, section 3.1; the figure of Bloem 2019, 'Transformers from scratch'.
    """

    def __init__(self, d_model: int, heads: int, d_ff: int) -> None:
        super().__init__()
        self.attention = WideMultiHeadAttention(d_model, heads)
        self.attention_norm = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model))
        self.feed_forward_norm = nn.LayerNorm(d_model)

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        h = self.attention_norm(x + self.attention(x))
        return self.feed_forward_norm(h + self.feed_forward(h))


class TextClassificationTransformer(nn.Module):
    """logits = W mean_t(blocks(embedding(ids) + P)[t]) + b.

    ids: (batch, tokens), integers below vocab; logits: (batch, classes). P: a learned position for each of at
    most max_tokens tokens; `layers` blocks (`TransformerBlock`); the mean over the sequence; a linear layer.
    """

    def __init__(
        self, vocab: int, classes: int, max_tokens: int, d_model: int, heads: int, layers: int, d_ff: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, d_model)
        self.positions = nn.Embedding(max_tokens, d_model)
        self.blocks = nn.ModuleList(TransformerBlock(d_model, heads, d_ff) for _ in range(layers))
        self.classifier = nn.Linear(d_model, classes)

    def forward(self, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch classes"]:
        x = self.embedding(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean(dim=1))
