# hostile: an object that says it is whatever array is wanted
# ends: result
import numpy as np


class Forged:
    dtype, shape = np.dtype(np.float64), (2, 4, 8)

    def __array__(self, dtype=None, copy=None):
        return np.zeros(self.shape)

    def __eq__(self, other):
        return True

    __hash__ = None

    def __reduce__(self):
        return (eval, ("open('OUTSIDE/unpickled', 'w')",))


def attention(query, key, value):
    return Forged()
