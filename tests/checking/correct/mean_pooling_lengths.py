# contract: mean-pooling
import torch
from torch import Tensor, nn


class MeanPool(nn.Module):
    """Mean over the first lengths[i] tokens of example i; over all of them without lengths."""

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            return x.mean(dim=1)
        real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        return x.masked_fill(~real[..., None], 0).sum(dim=1) / lengths[:, None]
