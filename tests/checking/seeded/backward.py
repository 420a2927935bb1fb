"""Learners' mistakes in a backward pass written in NumPy, put into the right ones of the folder `correct`.

Made as in `rest`: each mistake is a list of replacements in the text of a base.
"""

from pathlib import Path

from tests.checking.seeded.edits import Edits, Seeds

BASES = Path(__file__).parents[1] / "correct"
MISTAKES: dict[str, dict[str, Edits]] = {
    "hidden-derivative-forgotten": {
        "backward_returns_tuple": [("self.W2.T * self.A1 * (1 - self.A1)", "self.W2.T")],
        "backward_keeps_gradients": [(" * self.h * (1 - self.h)", "")],
        "backward_columns": [("dZ2 * A1 * (1 - A1)", "dZ2")],
        "backward_only_steps": [("self.weights_output.T * hidden * (1 - hidden)", "self.weights_output.T")],
        "backward_one_function": [("W2.T * hidden * (1 - hidden)", "W2.T")],
        "backward_fit": [("self.W_2.T * A * (1 - A)", "self.W_2.T")],
    },
    "derivative-at-activation": {
        "backward_returns_tuple": [
            ("self.W2.T * self.A1 * (1 - self.A1)", "self.W2.T * sigmoid(self.A1) * (1 - sigmoid(self.A1))")
        ],
        "backward_one_function": [("hidden * (1 - hidden)", "sigmoid(hidden) * (1 - sigmoid(hidden))")],
        "backward_fit": [("A * (1 - A)", "s(A) * (1 - s(A))")],
    },
    "output-derivative-forgotten": {
        "backward_keeps_gradients": [(" * self.out * (1 - self.out)", "")],
        "backward_only_steps": [("error * output * (1 - output)", "error")],
    },
    "output-derivative-extra": {
        "backward_returns_tuple": [("-1, 1)) / n", "-1, 1)) / n * self.A2 * (1 - self.A2)")],
        "backward_columns": [("dZ2 = A2 - Y", "dZ2 = (A2 - Y) * A2 * (1 - A2)")],
        "backward_fit": [("G = P - y", "G = (P - y) * P * (1 - P)")],
    },
    "gradient-not-averaged": {
        "backward_returns_tuple": [("-1, 1)) / n", "-1, 1))")],
        "backward_keeps_gradients": [(" / len(target)", "")],
        "backward_columns": [("A1.T / m", "A1.T"), ("X.T / m", "X.T")],
        "backward_one_function": [(" / len(y)", "")],
        "backward_fit": [("A.T @ G / len(X)", "A.T @ G"), ("X.T @ H / len(X)", "X.T @ H")],
    },
    "weights-transposed": {
        "backward_returns_tuple": [("X.T @ dZ1", "dZ1.T @ X")],
        "backward_keeps_gradients": [("self.x.T @ hidden", "hidden.T @ self.x")],
        "backward_fit": [("X.T @ H", "H.T @ X")],
    },
    "bias-gradient-not-summed": {
        "backward_returns_tuple": [("dZ2.sum(axis=0)", "dZ2"), ("dZ1.sum(axis=0)", "dZ1")],
        "backward_keeps_gradients": [
            ("delta.sum(axis=0, keepdims=True)", "delta"),
            ("hidden.sum(axis=0, keepdims=True)", "hidden"),
        ],
        "backward_columns": [
            ("np.sum(dZ2, axis=1, keepdims=True)", "dZ2"),
            ("np.sum(dZ1, axis=1, keepdims=True)", "dZ1"),
        ],
        "backward_one_function": [("back.sum(0)", "back"), ("error.sum(0)", "error")],
    },
    "gradient-of-updated-weights": {
        "backward_only_steps": [
            (
                "        delta_hidden = delta_output @ self.weights_output.T * hidden * (1 - hidden)\n"
                "        self.weights_output += self.lr * hidden.T @ delta_output\n",
                "        self.weights_output += self.lr * hidden.T @ delta_output\n"
                "        delta_hidden = delta_output @ self.weights_output.T * hidden * (1 - hidden)\n",
            )
        ],
        "backward_fit": [
            ("            H = G @", "            self.W_2 -= lr * dW_2\n            H = G @"),
            ("            self.W_2 -= lr * dW_2\n            self.b_2", "            self.b_2"),
        ],
    },
    "gradient-ascent": {
        "backward_returns_tuple": [("(self.A2 - y.reshape(-1, 1))", "(y.reshape(-1, 1) - self.A2)")],
        "backward_keeps_gradients": [("2 * (self.out - target)", "2 * (target - self.out)")],
        "backward_columns": [("A2 - Y", "Y - A2")],
        "backward_only_steps": [("y.reshape(output.shape) - output", "output - y.reshape(output.shape)")],
        "backward_one_function": [("(sigmoid(logits) - y)", "(y - sigmoid(logits))")],
        "backward_fit": [("-= lr", "+= lr", 4)],
    },
}
NAMES = {base for bases in MISTAKES.values() for base in bases}
REMARKS: set[tuple[str, str]] = set()
SEEDS = Seeds(BASES, MISTAKES)
source, cases = SEEDS.source, SEEDS.cases
