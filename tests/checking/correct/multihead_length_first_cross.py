# contract: multi-head-attention
import torch
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Multi-head attention over sequences of shape (length, batch, emb_size).

    Arguments of forward:
        src: what is attended to, (source length, batch, emb_size)
        tgt: what attends, (target length, batch, emb_size)
        attn_mask: bool (target length, source length), True forbids
    """

    def __init__(self, emb_size: int, nhead: int) -> None:
        super().__init__()
        self.nhead = nhead
        self.lin_q = nn.Linear(emb_size, emb_size)
        self.lin_kv = nn.Linear(emb_size, 2 * emb_size)
        self.lin_out = nn.Linear(emb_size, emb_size)

    def forward(self, tgt: Tensor, src: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        t, batch, emb = tgt.shape
        s = src.shape[0]
        q = self.lin_q(tgt).view(t, batch, self.nhead, -1)
        k, v = self.lin_kv(src).view(s, batch, 2, self.nhead, -1).unbind(2)
        scores = torch.einsum("tbhd,sbhd->bhts", q, k) / q.shape[-1] ** 0.5
        if attn_mask is not None:
            scores.masked_fill_(attn_mask, float("-inf"))
        mixed = torch.einsum("bhts,sbhd->tbhd", scores.softmax(dim=-1), v)
        return self.lin_out(mixed.reshape(t, batch, emb))
