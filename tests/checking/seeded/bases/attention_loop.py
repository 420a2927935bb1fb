# contract: attention
import math

import torch


def attention(queries, keys, values, mask=None, causal=False):
    """One query after the other.

    mask: (batch, queries, keys), True = may attend
    causal: the query at position i does not see the keys after position i
    """
    outputs = []
    for i in range(queries.shape[1]):
        query = queries[:, i]
        scores = torch.einsum("bkd,bd->bk", keys, query)
        scores = scores / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask[:, i], float("-inf"))
        if causal:
            scores[:, i + 1 :] = float("-inf")
        weights = torch.softmax(scores, dim=-1)
        outputs.append((weights.unsqueeze(-1) * values).sum(dim=1))
    return torch.stack(outputs, dim=1)
