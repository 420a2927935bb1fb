"""Sheet B's block and classifier."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from glassformer.exercises.reference.attention import MultiHeadSelfAttention


class TransformerBlock(nn.Module):
    """h = x + attention(norm_1(x)),  y = h + W_2 relu(W_1 norm_2(h) + b_1) + b_2: the norm comes before each.

    x, y: (batch, tokens, d_model); inside the feed-forward layer (batch, tokens, d_ff).
    attention: `MultiHeadSelfAttention`; norms: nn.LayerNorm(d_model).

    Source: Xiong et al. 2020, 'On Layer Normalization in the Transformer Architecture', table 1.
    """

    def __init__(self, d_model: int, heads: int, d_ff: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = MultiHeadSelfAttention(d_model, heads)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model))

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        h = x + self.attention(self.attention_norm(x))
        return h + self.feed_forward(self.feed_forward_norm(h))


class TransformerClassifier(nn.Module):
    """logits = W mean_t(blocks(embedding(ids))[t]) + b.

    ids: (batch, tokens), integers below vocab; logits: (batch, classes). Token embedding, `layers` blocks
    (`TransformerBlock`), the mean over the sequence, one linear layer.
    """

    def __init__(self, vocab: int, classes: int, d_model: int, heads: int, layers: int, d_ff: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, d_model)
        self.blocks = nn.ModuleList(TransformerBlock(d_model, heads, d_ff) for _ in range(layers))
        self.classifier = nn.Linear(d_model, classes)

    def forward(self, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch classes"]:
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean(dim=1))
