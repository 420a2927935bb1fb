# contract: numpy-backward
# target: Classifier
import numpy as np


def s(z):
    return 1 / (1 + np.exp(-z))


class Classifier:
    """As many hidden neurons as features; full-batch gradient descent on the mean log loss."""

    def __init__(self, n_features):
        rng = np.random.default_rng()
        self.W_1 = rng.normal(size=(n_features, n_features)) / np.sqrt(n_features)
        self.b_1 = np.zeros((1, n_features))
        self.W_2 = rng.normal(size=(n_features, 1)) / np.sqrt(n_features)
        self.b_2 = np.zeros((1, 1))

    def predict_proba(self, X):
        return s(s(X @ self.W_1 + self.b_1) @ self.W_2 + self.b_2)

    def fit(self, X, y, epochs=100, lr=0.5):
        y = y.reshape(-1, 1)
        for _ in range(epochs):
            A = s(X @ self.W_1 + self.b_1)
            P = s(A @ self.W_2 + self.b_2)
            G = P - y
            dW_2 = A.T @ G / len(X)
            db_2 = G.mean(axis=0, keepdims=True)
            H = G @ self.W_2.T * A * (1 - A)
            dW_1 = X.T @ H / len(X)
            db_1 = H.mean(axis=0, keepdims=True)
            self.W_2 -= lr * dW_2
            self.b_2 -= lr * db_2
            self.W_1 -= lr * dW_1
            self.b_1 -= lr * db_1
        return self
