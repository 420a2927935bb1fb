"""Stochastic depth: in training, some examples skip some branches."""

from jaxtyping import Float
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """y[b] = x[b] keep[b] / (1 - rate),  keep[b] ~ Bernoulli(1 - rate), one draw for each example.

    x, y: (batch ...), the output of a residual branch: an example that is not kept goes round the branch.
    The mean over draws is x. In evaluation, y = x.
    Raises ValueError for a rate outside [0, 1).

    Source: Huang et al. 2016, 'Deep Networks with Stochastic Depth', section 3. Deviations, both as in the
    code of DeiT (Touvron et al. 2021): each example draws for itself, not the batch as one; what is kept is
    scaled up in training instead of everything down in evaluation.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"rate={rate} is not a probability below 1; choose 0 <= rate < 1")
        self.rate = rate

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        if not self.training or not self.rate:
            return x
        keep = x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * (keep / (1 - self.rate))

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"rate={self.rate}"
