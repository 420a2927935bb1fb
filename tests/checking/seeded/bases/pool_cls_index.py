# contract: cls-pooling
from torch import Tensor


def cls_pool(hidden_states: Tensor) -> Tensor:
    """The state of the CLS token, which stands in front: (batch, tokens, dim) -> (batch, dim)."""
    return hidden_states[:, 0]
