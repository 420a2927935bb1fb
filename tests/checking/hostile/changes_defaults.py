# hostile: changes the defaults of torch for all
# ends: result, RuntimeError
import torch

torch.set_default_dtype(torch.float16)
torch.set_grad_enabled(False)
torch.set_default_device("meta")
torch.manual_seed(0)
torch.use_deterministic_algorithms(True)
torch.set_num_threads(64)


def attention(query, key, value):
    torch.set_default_dtype(torch.float16)
    return query @ key.mT @ value
