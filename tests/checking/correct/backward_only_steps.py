# contract: numpy-backward
# target: NeuralNetwork
import numpy as np


class NeuralNetwork:
    def __init__(self, inputs, hidden, learning_rate=0.1):
        self.lr = learning_rate
        random = np.random.default_rng()
        self.weights_hidden = random.uniform(-1, 1, (inputs, hidden))
        self.bias_hidden = np.zeros(hidden)
        self.weights_output = random.uniform(-1, 1, (hidden, 1))
        self.bias_output = np.zeros(1)

    @staticmethod
    def activation(z):
        return 1 / (1 + np.exp(-z))

    def predict(self, X):
        hidden = self.activation(X @ self.weights_hidden + self.bias_hidden)
        return self.activation(hidden @ self.weights_output + self.bias_output)

    def train_step(self, X, y):
        """One step against the summed squared error, halved."""
        hidden = self.activation(X @ self.weights_hidden + self.bias_hidden)
        output = self.activation(hidden @ self.weights_output + self.bias_output)
        error = y.reshape(output.shape) - output
        delta_output = error * output * (1 - output)
        delta_hidden = delta_output @ self.weights_output.T * hidden * (1 - hidden)
        self.weights_output += self.lr * hidden.T @ delta_output
        self.bias_output += self.lr * delta_output.sum(axis=0)
        self.weights_hidden += self.lr * X.T @ delta_hidden
        self.bias_hidden += self.lr * delta_hidden.sum(axis=0)
