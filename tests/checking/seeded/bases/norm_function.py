# contract: layer-norm
def layer_norm(x, weight, bias, eps=1e-5):
    # x: (batch, length, features), weight and bias: (features,); the same as F.layer_norm with eps=1e-5
    mu = x.mean(-1, keepdim=True)
    centred = x - mu
    sigma2 = (centred**2).mean(-1, keepdim=True)
    return centred * (sigma2 + eps).rsqrt() * weight + bias
