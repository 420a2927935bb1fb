"""The smallest model that does it: configurations from small to large, several seeds of each at once.

The first round goes upwards from the fewest parameters until a model makes it. What time is left goes to
those that failed below it, the nearest first, with twice the seeds and steps, and so on. Seeds that are not
on their way at an eighth, a quarter or a half of the steps are given up. Validation decides which seeds go
on, and which of those above the bar is kept; whether a model is on the board, the unseen sequences do.
"""

import itertools
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from glassformer.data.pairs import NO_LABEL
from glassformer.errors import UsageError
from glassformer.experiments.board import add_entry, judge_all, read_board, require_finite, require_half
from glassformer.experiments.config import SmallestConfig
from glassformer.experiments.ensemble import Ensemble
from glassformer.progress import with_progress
from glassformer.tasks import find_task
from glassformer.tasks.base import Prepared, Report, Task
from glassformer.tasks.config import MachineConfig, OptimConfig, TrainConfig
from glassformer.training.judge import count_parameters
from glassformer.training.machine import prepare_machine

ON_ITS_WAY = {0.125: 0.005, 0.25: 0.05, 0.5: 0.25}
"""Share of the steps -> by what share a seed's loss must have fallen below that of a guess, to go on."""


@dataclass(frozen=True)
class Candidate:
    """One model to try, with one optimiser."""

    model: Any
    optimiser: str
    learning_rate: float
    parameters: int
    words: dict[str, str]
    """The options that name it, and nothing else, on the command line."""

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('-', '_')}={value}" for name, value in self.words.items())


@dataclass(frozen=True)
class Trial:
    """What came of one."""

    best: float
    """Validation accuracy of the best seed when it ended."""
    made: int
    tried: int
    seconds: float
    given_up: bool
    entry: dict[str, Any] | None
    """The line on the board, where it made it."""


def smallest(
    task_name: str, options: SmallestConfig[Any], board: Path, *, report: Report
) -> dict[str, Any] | None:
    """Searches, and writes every model that makes it to the board; gives the smallest one's line.

    Raises UsageError for a task that cannot be searched, and where no combination of sizes is a model.
    """
    start = time.monotonic()
    task = find_task(task_name)
    chosen = prepare_machine(MachineConfig(device="cpu", precision="fp32", threads=options.threads))
    base = task.preset(None, None)
    base = replace(
        base, data=options.data, seed=options.seed, baselines=False, device="cpu", precision="fp32", threads=1
    )
    require_finite(task_name, task, base)
    others = {(each["task"], str(each["data"])) for each in read_board(board)}
    if others - {(task_name, str(asdict(options.data)))}:
        raise UsageError(f"{board} is a board of another task, or of other sizes; give another --board")
    prepared = task.prepare(base, report)
    require_half(prepared, task.exist(base))
    ladder = candidates(task, prepared, base, options)
    report(
        f"{task_name}: {len(ladder)} models of {ladder[0].parameters:,} to {ladder[-1].parameters:,} "
        f"parameters, above {options.above}, {options.budget:g} minutes"
    )
    left: list[Candidate] = ladder
    found: dict[str, Any] | None = None
    for round_number in itertools.count():
        seeds, steps = options.seeds << round_number, options.steps << round_number
        failed: list[Candidate] = []
        upwards = found is None
        for candidate in left:
            if time.monotonic() - start > 60 * options.budget:
                report(f"{options.budget:g} minutes are over")
                return found
            setting = replace(options, seeds=seeds, steps=steps)
            trial = attempt(task_name, task, prepared, base, candidate, setting, board, chosen)
            end = "given up" if trial.given_up else f"{trial.made} of {trial.tried} seeds made it"
            report(
                f"{candidate.parameters:,} parameters ({candidate}): {end}, best on validation "
                f"{trial.best:.4f}, {trial.seconds:.0f} s"
            )
            if trial.entry is None:
                failed.append(candidate)
            elif found is None or candidate.parameters < found["parameters"]:
                found = trial.entry
                if upwards:
                    break
        # the nearest below what was found, or all again where nothing was
        limit = found["parameters"] if found else ladder[-1].parameters + 1
        left = sorted(
            (each for each in failed if each.parameters < limit),
            key=lambda each: -each.parameters if found else each.parameters,
        )
        if not left:
            return found
    raise AssertionError


def candidates(
    task: Task, prepared: Prepared, base: TrainConfig[Any, Any], options: SmallestConfig[Any]
) -> list[Candidate]:
    """Every combination that is a model, fewest parameters first."""
    known = {each.name for each in fields(base.model)}
    facts = task.facts(prepared.tokenizer, prepared.class_names, base)
    found = []
    for model, words in _combinations(base.model, known, options):
        with torch.device("meta"):
            parameters = count_parameters(task.build_model(replace(model, **facts)))
        for optimiser, rate in itertools.product(options.optimiser, options.learning_rate):
            more = {"optimiser": optimiser, "learning-rate": str(rate)}
            found.append(Candidate(model, optimiser, rate, parameters, words | more))
    if not found:
        raise UsageError("no combination of these sizes is a model; give d_model that the heads divide")
    return sorted(found, key=lambda each: each.parameters)


def _combinations(
    start: Any, known: set[str], options: SmallestConfig[Any]
) -> Iterator[tuple[Any, dict[str, str]]]:
    sides = ("encoder_layers", "decoder_layers") if "encoder_layers" in known else ("layers",)
    names = [
        "layers",
        "heads",
        "d_model",
        "d_ff",
        *(n for n in ("positions", "pool", "activation") if n in known),
    ]
    for values in itertools.product(*(getattr(options, name) for name in names)):
        sizes = dict(zip(names, values, strict=True))
        words = {name.replace("_", "-"): str(value) for name, value in sizes.items()}
        sizes |= dict.fromkeys(sides, sizes.pop("layers"))
        zero = {name: 0.0 for name in ("dropout", "embedding_dropout") if name in known}
        try:
            yield replace(start, **sizes, **zero), words
        except UsageError:
            continue  # heads that do not divide d_model, say


def attempt(
    task_name: str,
    task: Task,
    prepared: Prepared,
    base: TrainConfig[Any, Any],
    candidate: Candidate,
    options: SmallestConfig[Any],
    board: Path,
    chosen: Any,
) -> Trial:
    """Trains the seeds of one candidate; a success goes to the board."""
    start = time.monotonic()
    config = replace(
        base,
        model=candidate.model,
        optim=OptimConfig(learning_rate=candidate.learning_rate, weight_decay=0.0),
        fit=replace(base.fit, batch_size=options.batch_size, average=0.0),
    )
    seeds = range(options.seed + 1, options.seed + 1 + options.seeds)
    ensemble = Ensemble(task, prepared, config, seeds, candidate.optimiser)
    accuracies, given_up = _train(ensemble, task, prepared, config, candidate, options)
    best = float(accuracies.max())
    made, winner, judged = 0, None, None
    for place in accuracies.argsort(descending=True).tolist():
        if given_up or accuracies[place] <= options.above:
            break
        model = ensemble.model(place)
        each = judge_all(task, model, prepared, config, chosen)
        if min(each.all, each.unseen) > options.above:
            made += 1
            if winner is None:  # the best on validation
                winner, judged = place, each
    seconds = time.monotonic() - start
    entry = None
    if winner is not None and judged is not None:
        facts = {
            "id": sha256(
                repr((config, candidate.optimiser, options.seeds, options.steps, options.above)).encode()
            ).hexdigest()[:8],
            "model": str(candidate),
            "above": options.above,
            "seeds_tried": options.seeds,
            "seeds_made": made,
            "initial_seed": ensemble.seeds[winner],
            "steps": options.steps,
            "seconds": round(seconds, 1),
            "command": command_of(task_name, task, candidate, options),
        }
        entry = add_entry(
            board, facts, task_name, task, ensemble.model(winner), prepared, config, judged, chosen
        )
    return Trial(best, made, options.seeds, seconds, given_up, entry)


def _train(
    ensemble: Ensemble,
    task: Task,
    prepared: Prepared,
    config: TrainConfig[Any, Any],
    candidate: Candidate,
    options: SmallestConfig[Any],
) -> tuple[torch.Tensor, bool]:
    """(seeds left,) validation accuracies, and whether it was given up."""
    batches = task.batches(prepared.examples["train"], config, train=True)
    held_out = task.batches(prepared.examples["validation"], config, train=False)
    total = options.steps
    looks = {max(1, round(share * total)): need for share, need in ON_ITS_WAY.items()}
    guess = loss_of_a_guess(task.batches(prepared.examples["train"], config, train=False))
    steps = itertools.islice((batch for _ in itertools.count() for batch in batches), total)
    doing = f"{candidate.parameters:,} parameters"
    for number, batch in enumerate(with_progress(steps, lambda batch: 1, total, doing), start=1):
        ensemble.step(batch, number - 1, total)
        if (need := looks.get(number)) is None:
            continue
        losses, accuracies = ensemble.judged(held_out)
        on_their_way = (losses < (1 - need) * guess) | (accuracies > options.above)  # never where NaN
        if not bool(on_their_way.any()):
            return accuracies, True
        ensemble.keep(on_their_way.nonzero()[:, 0])
    return ensemble.judged(held_out)[1], False


def loss_of_a_guess(batches: Any) -> float:
    """The loss of knowing how frequent each label is, at each place of a sequence, and nothing else; nats."""
    parts = [batch["labels"] if batch["labels"].ndim == 2 else batch["labels"][:, None] for batch in batches]
    width = max(part.shape[1] for part in parts)
    labels = torch.cat([functional.pad(part, (0, width - part.shape[1]), value=NO_LABEL) for part in parts])
    total, count = 0.0, 0
    for place in labels.mT:
        counts = torch.unique(place[place != NO_LABEL], return_counts=True)[1].double()
        total += float(-(counts * (counts / counts.sum()).log()).sum())
        count += int(counts.sum())
    return total / count


def command_of(task_name: str, task: Task, candidate: Candidate, options: SmallestConfig[Any]) -> str:
    """The command that repeats this trial alone."""
    words = ["glassformer", "smallest", task_name]
    usual = task.preset(None, None).data
    for each in fields(usual):
        if (value := getattr(options.data, each.name)) != getattr(usual, each.name):
            words += [f"--data.{each.name.replace('_', '-')}", str(value)]
    for name, value in candidate.words.items():
        words += [f"--{name}", value]
    for name in ("above", "seeds", "steps", "batch_size", "seed"):
        words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    return shlex.join(words)
