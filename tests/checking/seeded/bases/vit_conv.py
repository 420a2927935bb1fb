# contract: vision-transformer
# target: VisionTransformer
import torch
import torch.nn as nn


class AttentionBlock(nn.Module):
    """Pre-norm encoder block with exact GELU."""

    def __init__(self, embed_dim, num_heads, hidden_dim, dropout=0.0):
        super().__init__()
        self.layer_norm_1 = nn.LayerNorm(embed_dim)
        self.attn = nn.MultiheadAttention(embed_dim, num_heads, batch_first=True)
        self.layer_norm_2 = nn.LayerNorm(embed_dim)
        self.linear = nn.Sequential(
            nn.Linear(embed_dim, hidden_dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, embed_dim),
            nn.Dropout(dropout),
        )

    def forward(self, x):
        inp_x = self.layer_norm_1(x)
        x = x + self.attn(inp_x, inp_x, inp_x)[0]
        x = x + self.linear(self.layer_norm_2(x))
        return x


class VisionTransformer(nn.Module):
    """Images (batch, channels, size, size) to logits, after Dosovitskiy et al., 2021.

    Patches by a convolution, the CLS token in front, learned positions for all tokens (CLS has the first),
    pre-norm blocks, a last layer norm and a linear head on CLS.
    """

    def __init__(
        self,
        image_size=32,
        patch_size=4,
        num_channels=3,
        num_classes=10,
        embed_dim=64,
        num_layers=2,
        num_heads=4,
        hidden_dim=128,
        dropout=0.1,
    ):
        super().__init__()
        num_patches = (image_size // patch_size) ** 2
        self.patch_embedding = nn.Conv2d(num_channels, embed_dim, patch_size, stride=patch_size)
        self.cls_token = nn.Parameter(torch.randn(1, 1, embed_dim))
        self.pos_embedding = nn.Parameter(torch.randn(1, 1 + num_patches, embed_dim))
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.ModuleList(
            [AttentionBlock(embed_dim, num_heads, hidden_dim, dropout) for _ in range(num_layers)]
        )
        self.norm = nn.LayerNorm(embed_dim)
        self.mlp_head = nn.Linear(embed_dim, num_classes)

    def forward(self, x):
        x = self.patch_embedding(x)
        x = x.flatten(2).transpose(1, 2)
        cls_token = self.cls_token.repeat(x.shape[0], 1, 1)
        x = torch.cat([cls_token, x], dim=1)
        x = x + self.pos_embedding
        x = self.dropout(x)
        for block in self.transformer:
            x = block(x)
        cls = self.norm(x)[:, 0]
        return self.mlp_head(cls)
