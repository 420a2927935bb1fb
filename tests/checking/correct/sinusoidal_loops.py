# contract: sinusoidal-positions
from math import cos, sin

import torch


def get_sinusoid_table(n_position, d_hid):
    def angle(pos, i):
        return pos / 10000 ** (2 * (i // 2) / d_hid)

    table = torch.empty(n_position, d_hid)
    for pos in range(n_position):
        for i in range(d_hid):
            table[pos, i] = sin(angle(pos, i)) if i % 2 == 0 else cos(angle(pos, i))
    return table
