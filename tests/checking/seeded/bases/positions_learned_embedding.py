# contract: learned-positions
import torch
import torch.nn as nn


class LearnedPositionalEncoding(nn.Module):
    """Adds a learned vector per position, 0 to max_len - 1, to x (batch, length, d_model)."""

    def __init__(self, max_len, d_model, dropout=0.1):
        super().__init__()
        self.position_embeddings = nn.Embedding(max_len, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        position_ids = torch.arange(x.size(1), device=x.device)
        x = x + self.position_embeddings(position_ids).unsqueeze(0)
        return self.dropout(x)
