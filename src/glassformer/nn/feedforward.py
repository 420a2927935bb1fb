"""The position-wise feed-forward layer."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class FeedForward(nn.Module):
    """FFN(x) = W_2 dropout(activation(W_1 x + b_1)) + b_2, the same for every token.

    x, FFN(x): (batch tokens d_model); inside: (batch tokens d_ff).
    activation: any elementwise function; torch's exact GELU, x Phi(x), unless told otherwise.

    Source: Vaswani et al. 2017, section 3.3, with ReLU (torch.nn.functional.relu); GELU: Hendrycks & Gimpel
    2016. Deviation: dropout between the two maps, as in torch.nn.TransformerEncoderLayer.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        activation: Callable[[Tensor], Tensor] = functional.gelu,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)
        self.activation = activation
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        return self.contract(self.dropout(self.activation(self.expand(x))))


def gelu_tanh(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): GELU, approximated; up to 5e-4 off x Phi(x).

    GPT-2's checkpoints were trained with it. Source: Hendrycks & Gimpel 2016, section 2.
    """
    return functional.gelu(x, approximate="tanh")
