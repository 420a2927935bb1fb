# contract: feed-forward
from torch import Tensor, nn


class FeedForwardBlock(nn.Module):
    """Linear, GELU (exact, by the error function), dropout, linear, dropout, on each token alone."""

    def __init__(self, dim: int, hidden_dim: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, hidden_dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, dim),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
