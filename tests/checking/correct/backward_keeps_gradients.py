# contract: numpy-backward
# target: TwoLayerNet
import numpy as np


def _sigma(z):
    return 1.0 / (1.0 + np.exp(-z))


class TwoLayerNet:
    """Sigmoid network trained on the mean squared error."""

    def __init__(self, input_dim, hidden_dim, output_dim=1):
        normal = np.random.default_rng(42).standard_normal
        self.params = {
            "W1": normal((input_dim, hidden_dim)),
            "b1": np.zeros((1, hidden_dim)),
            "W2": normal((hidden_dim, output_dim)),
            "b2": np.zeros((1, output_dim)),
        }
        self.grads = {}

    def forward(self, x):
        self.x = x
        self.h = _sigma(x @ self.params["W1"] + self.params["b1"])
        self.out = _sigma(self.h @ self.params["W2"] + self.params["b2"])
        return self.out

    def backward(self, target):
        # L = mean((out - target)^2)
        delta = 2 * (self.out - target) / len(target) * self.out * (1 - self.out)
        self.grads["W2"] = self.h.T @ delta
        self.grads["b2"] = delta.sum(axis=0, keepdims=True)
        hidden = (delta @ self.params["W2"].T) * self.h * (1 - self.h)
        self.grads["W1"] = self.x.T @ hidden
        self.grads["b1"] = hidden.sum(axis=0, keepdims=True)
