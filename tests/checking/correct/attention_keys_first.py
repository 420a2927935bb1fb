# contract: attention
import torch
import torch.nn.functional as F


def dot_product_attention(keys: torch.Tensor, queries: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Scaled dot product attention.

    Args:
        keys: (batch_size, num_keys, d)
        queries: (batch_size, num_queries, d)
        values: (batch_size, num_keys, d_v)

    Returns:
        (batch_size, num_queries, d_v)
    """
    d = keys.shape[2]
    energy = torch.bmm(queries, keys.transpose(1, 2))
    energy = energy / d**0.5
    alpha = F.softmax(energy, dim=2)
    return torch.bmm(alpha, values)
