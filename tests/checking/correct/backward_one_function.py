# contract: numpy-backward
# target: loss_and_gradients
import numpy as np


def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def loss_and_gradients(X, y, W1, b1, W2, b2):
    """The mean cross-entropy and its derivatives by W1, b1, W2 and b2; X (n, features), y (n,)."""
    hidden = sigmoid(X @ W1 + b1)
    logits = (hidden @ W2 + b2)[:, 0]
    loss = np.mean(np.logaddexp(0, logits) - y * logits)
    error = (sigmoid(logits) - y)[:, None] / len(y)
    back = error @ W2.T * hidden * (1 - hidden)
    return loss, (X.T @ back, back.sum(0), hidden.T @ error, error.sum(0))
