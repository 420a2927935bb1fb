# contract: cls-pooling
import torch


def pool_cls(hidden_states: torch.Tensor) -> torch.Tensor:
    """The hidden state of the [CLS] token, which comes first: (batch, tokens, dim) -> (batch, dim)."""
    return hidden_states[:, 0]
