# contract: multi-head-attention
# target: MyAttention
import torch

MyAttention = torch.nn.MultiheadAttention
