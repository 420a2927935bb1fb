# contract: attention
import torch


def attend(*, keys, queries, values, additive_mask=None, temperature=None):
    """Keyword-only; additive_mask is added to the scores, (batch, queries, keys)."""
    temperature = keys.shape[-1] ** 0.5 if temperature is None else temperature
    energy = torch.einsum("...qd,...kd->...qk", queries, keys).div(temperature)
    if additive_mask is not None:
        energy = energy.add(additive_mask)
    energy = energy - energy.amax(-1, keepdim=True)
    shares = energy.exp()
    return (shares / shares.sum(-1, keepdim=True)) @ values
