"""Self-attention as ONNX has it: one operator, where its parts would be fifteen."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glassformer.nn.masks import Mask
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.nn.positions import AlibiBias


class OnnxAttention(nn.Module):
    """What a `MultiHeadAttention` computes of one sequence, by ONNX's operator Attention.

    x: (batch tokens d_model); mask, bias, only_first and y as there. Copies of its weights: Q, K and V are
    three products, since a runtime copies the slices of one. To be traced; y is the same, up to rounding.

    Source: the operators of ONNX 1.18, opset 23, Attention, its three axes form; with rotary positions, that
    turn each head's vectors, the one of four axes.
    """

    def __init__(self, attention: MultiHeadAttention) -> None:
        super().__init__()
        self.heads, self.rotary, self.output = attention.heads, attention.rotary, attention.output
        self.projections = nn.ModuleList()
        qkv = attention.qkv
        rows = {name: each.detach().chunk(3) for name, each in qkv.named_parameters()}
        for part in range(3):
            linear = nn.Linear(qkv.in_features, qkv.out_features // 3, bias=qkv.bias is not None)
            linear.load_state_dict({name: of_all[part] for name, of_all in rows.items()})
            self.projections.append(linear)

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        mask: Mask | None = None,
        bias: AlibiBias | None = None,
        return_weights: bool = False,
        only_first: int | None = None,
    ) -> Float[Tensor, "batch asked d_model"]:
        assert not return_weights
        q, k, v = (project(x) for project in self.projections)
        tokens, added = x.shape[1], None
        asking = tokens if only_first is None else only_first
        may_attend = None if mask is None else mask.dense(asking, tokens, x.device)
        if bias is not None:
            added = bias.dense(asking, tokens, x.device, x.dtype)
            if may_attend is not None:
                added = torch.where(may_attend, added, torch.finfo(x.dtype).min / 2)
        allowed = may_attend if added is None else added
        if self.rotary is None:
            sizes = {"q_num_heads": self.heads, "kv_num_heads": self.heads}
            y = torch.onnx.ops.attention(q[:, :only_first], k, v, allowed, **sizes)[0]
        else:
            q, k, v = (each.unflatten(2, (self.heads, -1)).transpose(1, 2) for each in (q, k, v))
            q, k = self.rotary(q, k)
            y = torch.onnx.ops.attention(q[:, :, :only_first], k, v, allowed)[0].transpose(1, 2).flatten(2)
        return self.output(y)
