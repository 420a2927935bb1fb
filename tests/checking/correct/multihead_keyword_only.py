# contract: multi-head-attention
import torch
from torch import Tensor, nn


class MHA(nn.Module):
    def __init__(self, *, emb_size: int, nhead: int, p_drop: float = 0.0, use_bias: bool = False) -> None:
        super().__init__()
        self.nhead = nhead
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(emb_size, emb_size, bias=use_bias) for _ in range(4))
        self.drop = nn.Dropout(p_drop)

    def forward(
        self, q: Tensor, *, k: Tensor | None = None, v: Tensor | None = None, attn_bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns (output, weights averaged over the heads). attn_bias is added to the scores."""
        k = q if k is None else k
        v = k if v is None else v
        # (batch, length, emb) -> (heads, batch, length, emb / heads)
        qh = torch.stack(self.wq(q).chunk(self.nhead, dim=-1))
        kh = torch.stack(self.wk(k).chunk(self.nhead, dim=-1))
        vh = torch.stack(self.wv(v).chunk(self.nhead, dim=-1))
        s = qh @ kh.mT / qh.size(-1) ** 0.5
        if attn_bias is not None:
            s = s + attn_bias
        w = self.drop(s.softmax(-1))
        return self.wo(torch.cat(list(w @ vh), dim=-1)), w.mean(0)
