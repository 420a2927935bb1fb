"""A network written out in NumPy beside logistic regression, on a table of numbers with two classes.

Both see the same training rows, standardised, and are judged once on the same test rows.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from glassformer.baselines import network
from glassformer.data.splits import count_shared, stratified_split
from glassformer.data.tables import LabelledTable, balanced, load_table
from glassformer.errors import UsageError, nearest
from glassformer.evaluation import mcnemar, summary
from glassformer.experiments.config import BackpropConfig
from glassformer.progress import with_progress
from glassformer.training.provenance import machine, versions
from glassformer.training.run_folder import new_run_folder

TEST_SHARE = 0.2
BALANCED_UP_TO = 0.55
"""Share of the larger class up to which a table counts as balanced."""
FEW_TEST_ROWS = 50
LEVEL = 0.05
"""A p value below this is called larger than chance explains."""
LOGISTIC, NETWORK, MAJORITY = "logistic regression", "network", "majority class"
STEPS = 1000
WIDTH = 110

Features = Float64[np.ndarray, "rows features"]
Labels = Int64[np.ndarray, " rows"]
Logits = Float64[np.ndarray, " rows"]


@dataclass(frozen=True)
class Scaling:
    """x' = (x - mean) / deviation, each feature by its mean and deviation over the training rows."""

    mean: Float64[np.ndarray, " features"]
    deviation: Float64[np.ndarray, " features"]

    @classmethod
    def of(cls, X: Features) -> "Scaling":
        """A feature that is constant in these rows, though not in all, has deviation 0 and keeps its size."""
        deviation = X.std(axis=0)
        return cls(X.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, X: Features) -> Features:
        return (X - self.mean) / self.deviation


@dataclass(frozen=True)
class Fitted:
    """A model after its training."""

    of_scaled: Callable[[Features], Logits]
    scaling: Scaling
    parameters: int
    seconds: float
    losses: list[float]
    """On the training rows: the network's random start and each epoch, of others the end alone."""

    def logits(self, X: Features) -> Logits:
        """ln(p / (1 - p)), p the probability of the second class, for features as the table has them."""
        return self.of_scaled(self.scaling(X))

    def judge(self, X: Features, y: Labels) -> dict[str, Any]:
        """The figures of `evaluation.summary` on these rows."""
        p = network.sigmoid(self.logits(X))
        return summary(np.stack([1 - p, p], axis=1), y)


@dataclass(frozen=True)
class Comparison:
    """What was compared, and on what: all that the figures are drawn from."""

    table: LabelledTable
    train: Int64[np.ndarray, " train_rows"]
    test: Int64[np.ndarray, " test_rows"]
    models: dict[str, Fitted]
    pair: list[int] | None
    """Numbers of the two features of the decision regions; None where the table has one feature."""
    pair_models: dict[str, Fitted]
    """The same models fitted on those two features alone."""
    result: dict[str, Any]
    """The figures, ready for JSON."""


def compare(config: BackpropConfig) -> Comparison:
    """Loads, splits, fits, judges. Raises UsageError and DataError for what cannot be done."""
    from threadpoolctl import threadpool_limits

    table = load_table(config.data, config.target, config.ignore)
    pair = None if config.features is None else [_number_of(name, table) for name in config.features]
    if config.balance:
        table = balanced(table, config.seed)
    train, test = stratified_split(table.labels, TEST_SHARE, config.seed, table.class_names)
    X, y = table.features[train], table.labels[train]
    if pair is None and X.shape[1] >= 2:
        pair = sorted(most_telling(X, y)[:2])
    hidden = config.hidden or X.shape[1]
    with threadpool_limits(config.threads or None):
        models = fit_models(X, y, hidden, config, "training the network")
        on_two = "training it on two features"
        pair_models = {} if pair is None else fit_models(X[:, pair], y, hidden, config, on_two)
    table = replace(table, notes=(*table.notes, *_notes(table, train, test, models[NETWORK], config)))
    comparison = Comparison(table, train, test, models, pair, pair_models, {})
    return replace(comparison, result=_result(comparison, hidden, config))


def fit_models(X: Features, y: Labels, hidden: int, config: BackpropConfig, doing: str) -> dict[str, Fitted]:
    """The models by name, fitted on these training rows."""
    scaling = Scaling.of(X)
    return {
        NETWORK: fit_network(scaling, X, y, hidden, config, doing),
        LOGISTIC: fit_logistic(scaling, X, y),
        MAJORITY: fit_majority(scaling, y),
    }


def fit_network(
    scaling: Scaling, X: Features, y: Labels, hidden: int, config: BackpropConfig, doing: str
) -> Fitted:
    """The network of `glassformer.baselines.network`, as it was after the epoch with the lowest loss."""
    start = time.perf_counter()
    epochs = network.train(
        scaling(X),
        y,
        hidden,
        np.random.default_rng(config.seed),
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        epochs=config.epochs,
    )
    best = next(epochs)
    losses = [best.loss]
    for epoch in with_progress(epochs, lambda _: 1, config.epochs, doing):
        losses.append(epoch.loss)
        best = min(best, epoch, key=lambda each: each.loss)
    return Fitted(
        lambda scaled: network.forward(best.weights, scaled).Z2[:, 0],
        scaling,
        parameters=sum(w.size for w in best.weights),
        seconds=time.perf_counter() - start,
        losses=losses,
    )


def fit_logistic(scaling: Scaling, X: Features, y: Labels) -> Fitted:
    """p = sigmoid(w · x + b): minimises ||w||² / 2 + sum_i -ln p(y_i | x_i), scikit-learn's own setting."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    start = time.perf_counter()
    model = LogisticRegression(max_iter=STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaling(X), y)
    of_scaled = model.decision_function
    seconds = time.perf_counter() - start
    losses = [network.loss(of_scaled(scaling(X))[:, None], y)]
    return Fitted(of_scaled, scaling, model.coef_.size + 1, seconds, losses)


def fit_majority(scaling: Scaling, y: Labels) -> Fitted:
    """The same probability for every row: the second class's share of the training rows."""
    logit = float(np.log(y.mean() / (1 - y.mean())))
    losses = [network.loss(np.full((len(y), 1), logit), y)]
    return Fitted(lambda scaled: np.full(len(scaled), logit), scaling, 1, 0.0, losses)


def most_telling(X: Features, y: Labels) -> list[int]:
    """Numbers of the features by |r|, the largest first, r their correlation with the label."""
    return np.argsort(-np.abs(correlations(X, y)), kind="stable").tolist()


def correlations(X: Features, y: Labels) -> Float64[np.ndarray, " features"]:
    """Pearson's r of each feature with the label: mean of x' y', both standardised; 0 for a constant."""
    labels = y[:, None].astype(np.float64)
    return (Scaling.of(X)(X) * Scaling.of(labels)(labels)).mean(axis=0)


def folder_of(data: str, out: str | None) -> Path:
    """Where the figures go. Raises UsageError where `out` is taken."""
    if out is None:
        folder = new_run_folder(f"backprop/{Path(data).stem}", None, "--out")
        others = (folder.with_name(f"{folder.name}_{number}") for number in count(2))
        return next(each for each in (folder, *islice(others, 1000)) if not each.exists())
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not an empty folder; choose another --out")
    return folder


def _number_of(name: str, table: LabelledTable) -> int:
    if name not in table.feature_names:
        raise UsageError(f"{table.name} has no feature {name!r}; {nearest(name, table.feature_names)}")
    return table.feature_names.index(name)


def _notes(
    table: LabelledTable,
    train: Int64[np.ndarray, " train_rows"],
    test: Int64[np.ndarray, " test_rows"],
    fitted: Fitted,
    config: BackpropConfig,
) -> list[str]:
    notes = []
    share, larger = max(table.counts) / sum(table.counts), table.class_names[int(np.argmax(table.counts))]
    if share > BALANCED_UP_TO:
        notes.append(
            f"the classes are not balanced: always saying {larger} is right for {share:.1%} of the rows; "
            "--balance leaves rows of it out until both are equally frequent"
        )
    rows = np.array([hash(row.tobytes()) for row in table.features])
    if shared := count_shared(rows[train], rows[test]):
        notes.append(f"{shared:,} of the test rows have the very features of a training row, which flatters")
    if not network.converged(fitted.losses):
        notes.append(
            f"after {config.epochs:,} epochs the network's loss still falls; --epochs lets it go on longer"
        )
    if len(test) < FEW_TEST_ROWS:
        notes.append(f"{len(test):,} test rows decide little; only a large difference shows on so few")
    if table.features.shape[1] == 1:
        notes.append("there is one feature, so no decision regions of two are drawn")
    return notes


def _result(comparison: Comparison, hidden: int, config: BackpropConfig) -> dict[str, Any]:
    table, train, test = comparison.table, comparison.train, comparison.test
    X, y = table.features, table.labels
    models = {
        name: {
            "test": fitted.judge(X[test], y[test]),
            "train": fitted.judge(X[train], y[train]),
            "train_loss": min(fitted.losses),
            "parameters": fitted.parameters,
            "seconds": fitted.seconds,
        }
        for name, fitted in comparison.models.items()
    }
    right = {name: (fitted.logits(X[test]) > 0) == y[test] for name, fitted in comparison.models.items()}
    intervals = [models[name]["test"]["accuracy_ci95"] for name in (LOGISTIC, NETWORK)]
    losses, pair = comparison.models[NETWORK].losses, comparison.pair
    return {
        "data": {
            "name": table.name,
            "about": table.about,
            "rows": len(y),
            "features": X.shape[1],
            "classes": dict(zip(table.class_names, table.counts, strict=True)),
            "train": len(train),
            "test": len(test),
        },
        "notes": list(table.notes),
        "seed": config.seed,
        "network": {
            "hidden": hidden,
            "learning_rate": config.learning_rate,
            "batch_size": config.batch_size,
            "epochs": len(losses) - 1,
            "converged": network.converged(losses),
            "losses": losses,
        },
        "models": models,
        "intervals_overlap": max(low for low, _ in intervals) <= min(high for _, high in intervals),
        "mcnemar": mcnemar(right[LOGISTIC], right[NETWORK]),
        "two_features": None
        if pair is None
        else {
            "features": [table.feature_names[number] for number in pair],
            "models": {
                name: fitted.judge(X[test][:, pair], y[test])
                for name, fitted in comparison.pair_models.items()
            },
        },
        "versions": versions(),
        "machine": machine(),
    }


def described(result: dict[str, Any]) -> list[str]:
    """The data in words and numbers."""
    data = result["data"]
    counts = [f"{count:,} {name} ({count / data['rows']:.1%})" for name, count in data["classes"].items()]
    even = max(data["classes"].values()) <= BALANCED_UP_TO * data["rows"]
    return [
        f"{data['name']}: {data['about']}",
        f"{data['rows']:,} rows, {data['features']:,} feature{'s' * (data['features'] != 1)}; "
        f"{' and '.join(counts)}: "
        f"{'balanced' if even else 'not balanced'}",
        f"split 80/20 by seed {result['seed']}, the classes' shares kept: {data['train']:,} rows to train "
        f"on, {data['test']:,} to test on",
    ]


def verdict(result: dict[str, Any]) -> list[str]:
    """Which of the two is the better one, and whether chance explains it."""
    logistic, ours = (result["models"][name]["test"] for name in (LOGISTIC, NETWORK))
    difference = ours["accuracy"] - logistic["accuracy"]
    ahead = f"the {NETWORK} is {abs(difference):.4f} {'ahead of' if difference > 0 else 'behind'} {LOGISTIC}"
    overlap = "overlap" if result["intervals_overlap"] else "do not overlap"
    test = result["mcnemar"]
    chance = "larger" if test["p_value"] < LEVEL else "not larger"
    return [
        f"{ahead if difference else 'both are right equally often'}; their 95% intervals {overlap}",
        f"{test['only_first']:,} of the test rows only {LOGISTIC} has right, {test['only_second']:,} only "
        f"the {NETWORK}",
        f"McNemar's exact test: p = {test['p_value']:.2g}, the difference is {chance} than chance explains; "
        "it compares the two row by row, the intervals each alone, so where they disagree it sees more",
    ]


def print_result(result: dict[str, Any], command: str, paths: list[Path]) -> None:
    """The result as a person reads it, best model first."""
    from rich.console import Console
    from rich.table import Table

    # names and paths are the user's, not markup; a file has no width to fit
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(**plain)
    if not console.is_terminal:
        console = Console(**plain, width=WIDTH)
    for line in described(result):
        console.print(line)
    for note in result["notes"]:
        console.print(f"note: {note}")
    shown = Table(title=f"{result['data']['name']}, {result['data']['test']:,} test rows")
    shown.add_column("model")
    for heading in ("test accuracy", "95% interval", "train accuracy", "parameters", "seconds"):
        shown.add_column(heading, justify="right")
    for name, model in sorted(result["models"].items(), key=lambda each: -each[1]["test"]["accuracy"]):
        low, high = model["test"]["accuracy_ci95"]
        shown.add_row(
            name if name != NETWORK else f"{name}, {result['network']['hidden']:,} hidden neurons",
            f"{model['test']['accuracy']:.4f}",
            f"{low:.4f} to {high:.4f}",
            f"{model['train']['accuracy']:.4f}",
            f"{model['parameters']:,}",
            f"{model['seconds']:.2f}",
        )
    console.print(shown)
    trained = result["network"]
    ended = "until its loss no longer fell" if trained["converged"] else "all that were asked for"
    console.print(f"the {NETWORK} trained for {trained['epochs']:,} epochs, {ended}")
    for line in verdict(result):
        console.print(line, soft_wrap=True)
    console.print(f"repeat: {command}", soft_wrap=True)
    for path in paths:
        console.print(f"written: {path}", soft_wrap=True)
