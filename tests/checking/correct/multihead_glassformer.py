# contract: multi-head-attention
from glassformer.nn import MultiHeadAttention as _MultiHeadAttention


class MultiHeadAttention(_MultiHeadAttention):
    """Glassformer's own, with the argument names of our course."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__(embed_dim, num_heads)
