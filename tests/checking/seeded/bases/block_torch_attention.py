# contract: transformer-block
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class EncoderLayer(nn.Module):
    """Post-norm: each sublayer's output is added to its input, and the sum is normalised.

    The feed-forward network has the exact GELU. `padding` (batch, length) is True at padded tokens.
    """

    def __init__(self, embed_dim: int, num_heads: int, ffn_dim: int, dropout: float = 0.1):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(embed_dim, num_heads, dropout=dropout, batch_first=True)
        self.self_attn_layer_norm = nn.LayerNorm(embed_dim)
        self.fc1 = nn.Linear(embed_dim, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, embed_dim)
        self.final_layer_norm = nn.LayerNorm(embed_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        residual = x
        x, _ = self.self_attn(x, x, x, key_padding_mask=padding, need_weights=False)
        x = self.dropout(x)
        x = self.self_attn_layer_norm(residual + x)

        residual = x
        x = self.fc2(F.gelu(self.fc1(x)))
        x = self.dropout(x)
        x = self.final_layer_norm(residual + x)
        return x
