"""What the judges of small parts say of right ones, written by many hands, and of ones with a mistake."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from glassformer.baselines import network
from glassformer.checking.backward import LOSSES, ROLES, Backward, Loss, forward
from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.exchange import Argument
from glassformer.checking.feed_forward import ACTIVATIONS
from glassformer.checking.feeding import feed, feedings
from glassformer.checking.isolation import IsolatedRunner
from glassformer.checking.judging import Outcome
from glassformer.checking.losses import Loss as NextTokenLoss
from glassformer.checking.mask_functions import allowed_by
from glassformer.checking.norms import Norm
from glassformer.checking.parts import PartJudge
from glassformer.checking.patches import Cut, Embedding
from glassformer.checking.pooling import Mean
from glassformer.checking.positions import Sinusoid
from glassformer.checking.runner import Runner
from glassformer.checking.source import Code
from tests.checking.seeded import backward, rest

PARTS = {
    slug
    for slug, each in CONTRACTS.items()
    if isinstance(each.judge, type) and issubclass(each.judge, PartJudge)
}
SAME = {"batch-and-length-swapped": "batch-length-swapped"}
"""What is seeded under a name that reads otherwise in the catalogue."""


def contract(text: str) -> str:
    found = re.search(r"# contract: (\S+)", text)
    assert found
    return found[1]


CORRECT = [
    path
    for folder in (Path(__file__).parent / "correct", rest.BASES)
    for path in sorted(folder.glob("*.py"))
    if contract(path.read_text(encoding="utf-8")) in PARTS
]


def judged(text: str, filename: str = "part.py", seed: int = 0, slug: str = "") -> Outcome:
    target = re.search(r"# target: (\S+)", text)
    runner = Runner()
    offers = [each for each in runner.load(text, filename) if not each.name.startswith("_")]
    offer = next((each for each in offers if target and each.name == target[1]), offers[-1])
    judge = CONTRACTS[slug or contract(text)].judge
    return judge(runner, offer, Code.of(text, offer.name), seed).judge()


def named(found: list[tuple[str, tuple[str, ...]]]) -> set[str]:
    return {each for _, family in found for each in family}


def source(base: str, *slugs: str) -> str:
    return (backward if base in backward.NAMES else rest).source(base, *slugs)


def one_base_each() -> list[tuple[str, str]]:
    """Of every mistake one style for each contract, another one for each next mistake."""
    bases: dict[tuple[str, str], list[str]] = {}
    for slug, base in (*rest.cases(), *backward.cases()):
        kind = contract(source(base))
        if kind in PARTS:
            bases.setdefault((slug, kind), []).append(base)
    return [(slug, each[n % len(each)]) for n, ((slug, _), each) in enumerate(sorted(bases.items()))]


@pytest.mark.parametrize("path", CORRECT, ids=lambda path: path.stem)
def test_a_right_part_is_found_right(path: Path) -> None:
    if "einops" in path.read_text(encoding="utf-8"):
        pytest.importorskip("einops")
    outcome = judged(path.read_text(encoding="utf-8"), path.name)
    assert outcome.error is None
    assert outcome.mistakes == []
    assert any(each.name.startswith("output") for each in outcome.checks)
    assert all(each.passed for each in outcome.checks)


@pytest.mark.parametrize(("slug", "base"), one_base_each())
def test_a_seeded_mistake_is_named(slug: str, base: str) -> None:
    if base == "patch_einops":
        pytest.importorskip("einops")
    outcome = judged(source(base, slug), f"{base}.py")
    right = SAME.get(slug, slug)
    found = named(outcome.mistakes) | (named(outcome.remarks) if (slug, base) in rest.REMARKS else set())
    assert right in found
    assert [each for each, family in outcome.mistakes if right not in family] == []


@pytest.mark.parametrize(
    ("base", "first", "second"),
    [
        ("positions_table", "positions-start-at-1", "sinusoid-exponent-doubled"),
        ("norm_module", "unbiased-variance", "eps-outside-root"),
        ("ff_functional", "wrong-activation", "dropout-in-eval"),
        ("loss_by_hand", "target-not-shifted", "loss-counts-padding"),
        ("masks_padding_ids", "padding-inverted", "padding-wrong-axis"),
        ("backward_fit", "hidden-derivative-forgotten", "gradient-ascent"),
    ],
)
def test_two_mistakes_are_both_named(base: str, first: str, second: str) -> None:
    outcome = judged(source(base, first, second), f"{base}.py")
    assert {first, second} <= named(outcome.mistakes)


def test_in_a_process_of_its_own_the_judge_says_the_same() -> None:
    text = source("backward_only_steps", "hidden-derivative-forgotten")
    with IsolatedRunner() as runner:
        offer = runner.load(text, "net.py")[-1]
        judge = CONTRACTS["numpy-backward"].judge
        outcome = judge(runner, offer, Code.of(text, offer.name), 0).judge()
    assert named(outcome.mistakes) == {"hidden-derivative-forgotten"}


def test_the_backward_pass_of_this_project_is_right() -> None:
    text = "# contract: numpy-backward\n# target: backward\n" + inspect.getsource(network)
    outcome = judged(text)
    assert outcome.error is None
    assert outcome.mistakes == []
    assert outcome.found["loss"] == "cross-entropy, mean"


def test_three_mistakes_of_a_norm_are_named() -> None:
    text = rest.source("norm_module", "unbiased-variance", "eps-outside-root", "other-eps")
    found = named(judged(text).mistakes)
    assert {"unbiased-variance", "eps-outside-root", "other-eps"} <= found


@pytest.mark.parametrize(
    ("words", "signature", "used", "remarks"),
    [
        ("", "eps: float = 1e-6", "self.eps", set()),
        ("", "eps: float = 1e-6", "1e-5", {"other-eps"}),
        ("", "eps: float = 1e-5", "1e-6", {"other-eps"}),
        ("With eps = 1e-6.", "", "1e-6", set()),
        ("", "", "1e-6", {"other-eps"}),
    ],
)
def test_eps_is_the_one_that_the_code_itself_asks_for(
    words: str, signature: str, used: str, remarks: set[str]
) -> None:
    text = (rest.BASES / "norm_module.py").read_text(encoding="utf-8")
    text = re.sub('""".*"""', f'"""{words}"""', text).replace("eps: float = 1e-5", signature)
    text = text.replace("self.eps)", f"{used})")
    outcome = judged(text if signature else text.replace("self.eps = eps", "pass"))
    assert outcome.mistakes == []
    assert all(each.passed for each in outcome.checks)
    assert named(outcome.remarks) == remarks


def test_code_that_is_wrong_in_no_known_way_is_unknown() -> None:
    text = "# contract: cls-pooling\ndef cls_pool(x):\n    return x[:, 0] * 1.01\n"
    outcome = judged(text)
    assert named(outcome.mistakes) == {"unknown"}
    assert not all(each.passed for each in outcome.checks)


def test_a_gradient_that_is_cut_off_is_found() -> None:
    text = "# contract: cls-pooling\ndef cls_pool(x):\n    return x[:, 0].detach()\n"
    assert named(judged(text).mistakes) == {"gradient-stopped"}


def test_code_that_cannot_run_says_why() -> None:
    outcome = judged("# contract: layer-norm\ndef layer_norm(x):\n    raise ValueError('not yet')\n")
    assert outcome.error is not None
    assert "not yet" in str(outcome.error)


def test_a_mask_whose_meaning_nobody_says_is_named_as_a_family() -> None:
    text = (
        "# contract: causal-mask\nimport torch\n\n\ndef causal_mask(n):\n"
        "    return torch.ones(n, n, dtype=torch.bool).triu(0)\n"
    )
    assert {"causal-transposed", "causal-excludes-self"} <= named(judged(text).mistakes)


def test_targets_that_the_caller_shifts_are_right() -> None:
    text = (
        "# contract: cross-entropy\nimport torch.nn.functional as F\n\n\ndef loss(logits, targets):\n"
        "    return F.cross_entropy(logits.transpose(1, 2), targets)\n"
    )
    outcome = judged(text)
    assert outcome.mistakes == []
    assert outcome.found["targets shifted"] == "by the caller"


def test_a_swiglu_named_in_words_only_is_not_taken_for_relu() -> None:
    text = (rest.BASES / "ff_sequential.py").read_text(encoding="utf-8")
    outcome = judged(text.replace("nn.GELU()", "nn.SiLU()"))
    assert named(outcome.mistakes) == {"wrong-activation"}
    assert outcome.found["activation"] == "SiLU"


def argument(name: str, required: bool = True) -> Argument:
    return Argument(name, "either", None, required, "")


def test_feedings_go_by_names_first_and_then_by_trying() -> None:
    feeds = (feed("x", "x"), feed("size", "n|size"))

    def told(name: str, by_name: bool) -> list[str]:
        return [found[name].what for found in feedings([argument(name)], feeds, by_name=by_name)]

    assert told("n", True) == ["size"]
    assert told("n", False) == ["size", "x"]
    assert told("unheard_of", True) == ["x", "size"]
    assert list(feedings([argument("other", required=False)], feeds)) == [{}]


# --------------------------------------------------------------------------------------- the references


def random(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal(shape))


def test_the_norm_is_that_of_torch() -> None:
    x = 1e-3 * random(4, 7, 24)
    gamma, beta = random(24), random(24)
    expected = functional.layer_norm(x, (24,), gamma, beta)
    torch.testing.assert_close(Norm()(x, gamma, beta), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("ReLU", nn.ReLU()), ("GELU", nn.GELU()), ("tanh-GELU", nn.GELU("tanh")), ("SiLU", nn.SiLU()),
        ("Mish", nn.Mish()), ("leaky ReLU", nn.LeakyReLU()), ("ReLU6", nn.ReLU6()),
    ],
)  # fmt: skip
def test_the_activations_are_those_of_torch(name: str, module: nn.Module) -> None:
    x = 3 * random(50)
    torch.testing.assert_close(ACTIVATIONS[name](x), module(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.told)
def test_the_backward_pass_is_that_of_autograd(loss: Loss) -> None:
    shapes = {"W1": (4, 3), "b1": (3,), "W2": (3, 1), "b2": (1,)}
    weights = {role: random(*shapes[role]).requires_grad_() for role in ROLES}
    X, y = random(6, 4), torch.tensor([1.0, 0, 0, 1, 1, 0], dtype=torch.float64)[:, None]
    loss(forward(weights, X), y).backward()
    with torch.no_grad():
        found = Backward(loss)(weights, X, y, 0.0)
    for role in ROLES:
        torch.testing.assert_close(found[role], weights[role].grad, rtol=1e-12, atol=1e-12)


def test_a_right_gradient_with_a_wrong_update_is_found() -> None:
    text = source("backward_returns_tuple") + (
        "\n    def update(self, grads, lr):\n"
        "        for name, grad in zip(('W1', 'b1', 'W2', 'b2'), grads):\n"
        "            setattr(self, name, getattr(self, name) + lr * grad)\n"
    )
    assert named(judged(text).mistakes) == {"gradient-ascent"}
    assert judged(text.replace("+ lr", "- lr")).mistakes == []


def test_the_patches_are_those_of_unfold() -> None:
    x = random(2, 3, 8, 9)
    expected = functional.unfold(x, (2, 3), stride=(2, 3)).transpose(1, 2)
    torch.testing.assert_close(Cut()(x, (2, 3)), expected, rtol=0, atol=0)


def test_the_embedded_patches_are_a_convolution() -> None:
    x, weight, bias = random(2, 3, 8, 12), random(5, 3, 4, 4), random(5)
    expected = functional.conv2d(x, weight, bias, stride=4).flatten(2).transpose(1, 2)
    found = Embedding().embed(x, (4, 4), weight.flatten(1).T, bias)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_mean_is_that_of_each_row_alone() -> None:
    x, lengths = random(3, 6, 4), [2, 6, 5]
    real = torch.arange(6) < torch.tensor(lengths)[:, None]
    expected = torch.stack([x[row, :length].mean(0) for row, length in enumerate(lengths)])
    torch.testing.assert_close(Mean()(x, real), expected, rtol=1e-12, atol=1e-12)


def test_the_loss_is_that_of_torch() -> None:
    logits, ids = random(3, 6, 11), torch.from_numpy(np.random.default_rng(2).integers(0, 11, (3, 6)))
    expected = functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
    torch.testing.assert_close(NextTokenLoss()(logits, ids, 0), expected, rtol=1e-12, atol=1e-12)


def test_the_sinusoids_follow_the_formula() -> None:
    table = Sinusoid().table(50, 7)
    for pos in (0, 1, 49):
        for i in range(7):
            angle = torch.tensor(pos / 10000 ** ((i - i % 2) / 7), dtype=torch.float64)
            torch.testing.assert_close(table[pos, i], angle.cos() if i % 2 else angle.sin())


def test_masks_of_every_kind_tell_what_may_be_seen() -> None:
    allowed = np.tril(np.ones((3, 3), dtype=bool))
    for mask, meaning in (
        (allowed, "attend"), (~allowed, "ignore"), (allowed.astype(float), "attend"),
        (np.where(allowed, 0.0, -np.inf), "additive"), (np.where(allowed, 0.0, -1e9), "additive"),
    ):  # fmt: skip
        found = allowed_by(mask, meaning)
        assert found is not None
        assert (found == allowed).all()
    assert allowed_by(np.where(allowed, 0.0, -np.inf), "attend") is None
