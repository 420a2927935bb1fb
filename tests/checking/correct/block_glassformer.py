# contract: transformer-block
from glassformer.nn import FeedForward as _FeedForward
from glassformer.nn import MultiHeadAttention as _MultiHeadAttention
from glassformer.nn import PreNormBlock as _PreNormBlock


class Block(_PreNormBlock):
    def __init__(self, d_model: int, n_heads: int, d_ff: int) -> None:
        super().__init__(_MultiHeadAttention(d_model, n_heads), _FeedForward(d_model, d_ff), d_model)
