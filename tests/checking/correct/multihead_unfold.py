# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """Heads by unfold and stack; mask: (batch, keys), True = may attend."""

    def __init__(self, width, n_heads):
        super().__init__()
        self.step = width // n_heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.mix = nn.Linear(width, width)

    def forward(self, x, mask=None):
        q, k, v = (
            each(x).unfold(-1, self.step, self.step).movedim(2, 0)
            for each in (self.query, self.key, self.value)
        )
        done = []
        for q_h, k_h, v_h in zip(q, k, v, strict=True):
            scores = (q_h[:, :, None] * k_h[:, None]).sum(-1) / self.step**0.5
            if mask is not None:
                scores = scores + torch.log(mask[:, None].to(scores.dtype))
            done.append(torch.softmax(scores, -1) @ v_h)
        return self.mix(torch.stack(done, dim=2).flatten(2))
