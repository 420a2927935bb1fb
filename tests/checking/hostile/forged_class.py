# hostile: an object that says it is a tensor
# ends: result, AttributeError, RuntimeError, TypeError
import torch


class Forged:
    __class__ = torch.Tensor

    def __getattr__(self, name):
        raise RuntimeError(name)


def attention(query, key, value):
    return Forged()
