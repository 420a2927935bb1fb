"""Encoder blocks made ready for inference on a processor: the weights in the layout that its kernels read.

A linear layer brings its weights into that layout in every call. Where they do not change any more, once is
enough, and GELU is computed on what a product has just written, before it leaves the cache. What that buys is
measured by benchmarks/inference.py.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glassformer.nn.blocks import EncoderBlock
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.multihead import MultiHeadAttention


class PackedLinear(nn.Module):
    """y = W x + b, or GELU(W x + b) with `gelu`, for a W that is not trained any more.

    x: (... inputs), cast to dtype; y: (... outputs), in dtype. Without gradients, on the CPU alone.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype = torch.bfloat16, *, gelu: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self.after = "gelu" if gelu else "none"
        weight = linear.weight.detach().to(dtype)
        # opaque to everything but its kernel, so neither a parameter nor a buffer
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        self.bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        x = x.to(self.dtype)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, self.after, [], "none")
        return y


def can_pack(model: nn.Module, dtype: torch.dtype = torch.bfloat16) -> bool:
    """Whether `packed` runs here: encoder blocks, on a processor whose oneDNN multiplies in that dtype."""
    # PyTorch's inductor calls these two; it does not promise that they stay
    kernels = ("_reorder_linear_weight", "_linear_pointwise")
    if not torch.backends.mkldnn.is_available() or not all(hasattr(torch.ops.mkldnn, k) for k in kernels):
        return False
    if any(p.device.type != "cpu" for p in model.parameters()):
        return False
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return any(isinstance(module, EncoderBlock) for module in model.modules())


def packed(model: nn.Module, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """A copy of the model for inference, the products of whose encoder blocks are in dtype and packed.

    Under autocast to the same dtype it gives what the model gives, up to the last digit of GELU, which is
    taken of the sum before it is rounded. Other layers are as they were.
    Raises ValueError where `can_pack` is False.
    """
    if not can_pack(model, dtype):
        raise ValueError(
            f"a {type(model).__name__} cannot be packed in {dtype} here; that takes encoder blocks, on a "
            "processor whose oneDNN multiplies in it. Use the model itself"
        )
    copied = copy.deepcopy(model).eval()
    for block in copied.modules():
        if not isinstance(block, EncoderBlock):
            continue
        attention, feed_forward = block.attention, block.feed_forward
        if isinstance(attention, MultiHeadAttention):
            _pack(attention, "qkv", dtype)
            _pack(attention, "output", dtype)
        if isinstance(feed_forward, FeedForward):
            gelu = feed_forward.activation is functional.gelu
            _pack(feed_forward, "expand", dtype, gelu=gelu)
            _pack(feed_forward, "contract", dtype)
            if gelu:
                feed_forward.activation = nn.Identity()
    return copied


def _pack(parent: nn.Module, name: str, dtype: torch.dtype, *, gelu: bool = False) -> None:
    setattr(parent, name, PackedLinear(getattr(parent, name), dtype, gelu=gelu))
