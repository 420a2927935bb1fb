# contract: numpy-backward
# target: Network
import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Network:
    """One hidden layer of sigmoids; the mean binary cross-entropy."""

    def __init__(self, n_features, n_hidden, seed=0):
        rng = np.random.default_rng(seed)
        self.W1 = rng.normal(0, 0.5, (n_features, n_hidden))
        self.b1 = np.zeros(n_hidden)
        self.W2 = rng.normal(0, 0.5, (n_hidden, 1))
        self.b2 = np.zeros(1)

    def forward(self, X):
        self.A1 = sigmoid(X @ self.W1 + self.b1)
        self.A2 = sigmoid(self.A1 @ self.W2 + self.b2)
        return self.A2

    def loss(self, y):
        p = self.A2[:, 0]
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def backward(self, X, y):
        n = len(y)
        dZ2 = (self.A2 - y.reshape(-1, 1)) / n
        dW2 = self.A1.T @ dZ2
        db2 = dZ2.sum(axis=0)
        dZ1 = dZ2 @ self.W2.T * self.A1 * (1 - self.A1)
        dW1 = X.T @ dZ1
        db1 = dZ1.sum(axis=0)
        return dW1, db1, dW2, db2
