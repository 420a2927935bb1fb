import copy
import subprocess
import sys

import numpy as np
import pytest
import torch

from glassformer.nn import positions
from glassformer.nn.positions import (
    AlibiBias,
    LearnedPositions,
    RotaryPositions,
    SinusoidalPositions,
    alibi_slopes,
    sinusoids,
)
from tests.nn.comparisons import (
    assert_alibi_equals_numpy,
    assert_equals_sinusoids,
    assert_learned_positions_add_rows,
    assert_rotary_equals_transformers,
    assert_same,
    random,
    rotation_by_hand,
    sinusoids_by_hand,
    slopes_by_hand,
)


@pytest.mark.parametrize("tokens", [1, 7, 64, 65, 101])
@pytest.mark.parametrize("d_model", [1, 2, 7, 22])
def test_sinusoids_equal_numpy(d_model, tokens):
    assert_equals_sinusoids(SinusoidalPositions, d_model, tokens)


def test_sinusoids_far_out_are_rounded_once():
    module = SinusoidalPositions(6)
    y = module(torch.zeros(1, 5003, 6))[0, 4999:]
    expected = torch.from_numpy(sinusoids_by_hand(5003, 6)[4999:]).float()
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-7)
    assert_same(
        module.double()(random(1, 5003, 6) * 0)[0, 4999:], sinusoids(5003, 6)[4999:], "after .double()"
    )


@pytest.mark.parametrize("module", [SinusoidalPositions(6), RotaryPositions(6)])
def test_a_table_made_for_inference_serves_training(module):
    shape = (2, 1031, 6) if isinstance(module, SinusoidalPositions) else (2, 3, 1031, 6)
    arguments = [torch.zeros(shape) for _ in range(1 if len(shape) == 3 else 2)]
    with torch.inference_mode():
        module(*arguments)
    for argument in arguments:
        argument.requires_grad_()
    result = module(*arguments)
    (result if isinstance(result, torch.Tensor) else sum(result)).sum().backward()
    assert all(argument.grad.isfinite().all() for argument in arguments)


@pytest.mark.parametrize("module", [SinusoidalPositions(6), RotaryPositions(6)])
def test_fixed_positions_have_no_state_and_can_be_copied(module):
    assert not copy.deepcopy(module).state_dict()
    assert not list(module.parameters())


def test_learned_positions_add_rows():
    assert_learned_positions_add_rows(LearnedPositions)


def test_learned_positions_end():
    module = LearnedPositions(13, 7)
    assert module(torch.zeros(2, 7, 13)).shape == (2, 7, 13)
    with pytest.raises(ValueError, match=r"tokens=8 is more than max_tokens=7.*max_tokens=8 or more"):
        module(torch.zeros(2, 8, 13))


@pytest.mark.parametrize("d_head", [2, 26])
def test_rotary_equals_transformers(d_head):
    assert_rotary_equals_transformers(RotaryPositions, d_head)


def test_rotary_is_differentiable_twice():
    rotary, q = RotaryPositions(6).double(), random(2, 2, 5, 6).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda q: rotary(q, q)[0].square(), q)


def test_rotary_angles_are_those_of_llama():
    """In float32, the only precision Llama computes its angles in."""
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = LlamaConfig(hidden_size=3 * 26, num_attention_heads=3, head_dim=26)
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1, 1, 1), torch.arange(101)[None])
    for theirs, ours in zip((cos, sin), rotation_by_hand(101, 26), strict=True):
        torch.testing.assert_close(theirs, ours.float(), rtol=0, atol=1e-5)


def test_rotary_scores_depend_on_the_distance_alone():
    rotary = RotaryPositions(10).double()
    q, k = rotary(random(1, 1, 1, 10).expand(1, 1, 13, 10), random(1, 1, 1, 10).expand(1, 1, 13, 10))
    scores = (q @ k.mT)[0, 0]
    for distance in range(-12, 13):
        diagonal = scores.diagonal(distance)
        assert_same(diagonal, diagonal[:1].expand_as(diagonal), f"distance {distance}")
    assert scores[0].std() > 1e-3


@pytest.mark.parametrize(("d_head", "fix"), [(7, "6 or 8"), (1, "2")])
def test_rotary_wants_pairs(d_head, fix):
    message = f"d_head={d_head} is odd, but rotary positions rotate pairs; choose {fix}$"
    with pytest.raises(ValueError, match=message):
        RotaryPositions(d_head)


@pytest.mark.parametrize("heads", range(1, 18))
def test_alibi_slopes_are_those_of_the_authors(heads):
    np.testing.assert_allclose(alibi_slopes(heads), slopes_by_hand(heads), rtol=1e-12)


@pytest.mark.parametrize("heads", [1, 2, 3, 8, 11])
@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (7, 5), (13, 13)])
def test_alibi_equals_numpy(heads, queries, keys):
    assert_alibi_equals_numpy(AlibiBias, heads, queries, keys)


def test_alibi_wants_heads():
    with pytest.raises(ValueError, match="heads=0 is not a number of heads; choose 1 or more"):
        AlibiBias(0)


def test_alibi_counts_far_in_half_precision():
    far = AlibiBias(1).dense(1, 4000, dtype=torch.bfloat16)
    exact = AlibiBias(1).dense(1, 4000, dtype=torch.float64)
    torch.testing.assert_close(far.double(), exact, rtol=2**-8, atol=0)


def test_the_compiler_s_mark_is_pytorch_s_own_and_the_compiler_is_not_loaded_for_it() -> None:
    """We set it by hand: PyTorch's function for it loads the compiler, at each start of a command."""

    def marked() -> None: ...

    torch.compiler.assume_constant_result(marked)
    assert vars(marked)
    assert vars(marked).items() <= vars(positions._constant).items()
    code = "import sys, glassformer.training.loaded; assert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
