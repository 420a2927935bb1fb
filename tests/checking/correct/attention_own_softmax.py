# contract: attention
import torch


def _softmax(z):
    # subtract the max so that exp does not overflow
    z = z - z.max(dim=-1, keepdim=True).values
    e = torch.exp(z)
    return e / e.sum(dim=-1, keepdim=True)


def attn(queries, keys, values, causal=False):
    n, m = queries.shape[-2], keys.shape[-2]
    sim = torch.einsum("...qd,...kd->...qk", queries, keys) / torch.sqrt(torch.tensor(queries.shape[-1]))
    if causal:
        future = torch.ones(n, m, dtype=torch.bool, device=sim.device).triu(1)
        sim = torch.where(future, -torch.inf, sim)
    return torch.einsum("...qk,...kd->...qd", _softmax(sim), values)
