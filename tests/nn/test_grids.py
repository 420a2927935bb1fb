"""Positions on a grid of 3 x 5 patches. The comparisons take the implementation, for `mutants`."""

import copy
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from glassformer.nn.grids import LearnedGridPositions, RotaryGridPositions, SinusoidalGridPositions
from glassformer.nn.positions import SinusoidalPositions
from tests.nn.comparisons import (
    BATCH,
    assert_same,
    assert_same_function,
    random,
    randomised,
    sinusoids_by_hand,
)

ROWS, COLUMNS, HEADS = 3, 5, 2
Build = Callable[..., nn.Module]
every_prefix = pytest.mark.parametrize("prefix", [0, 1])
every_kind = pytest.mark.parametrize(
    "kind", [LearnedGridPositions, SinusoidalGridPositions, RotaryGridPositions]
)


def places(rows: int, columns: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(rows) for column in range(columns)]


def grid_sinusoids_by_hand(rows: int, columns: int, d_model: int, prefix: int = 0) -> Tensor:
    by_row, by_column = sinusoids_by_hand(rows, d_model // 2), sinusoids_by_hand(columns, d_model // 2)
    table = [np.zeros(d_model)] * prefix
    table += [np.concatenate((by_row[row], by_column[column])) for row, column in places(rows, columns)]
    return torch.from_numpy(np.stack(table))


def assert_equals_grid_sinusoids(build: Build, prefix: int = 1, d_model: int = 20) -> None:
    """build(d_model, rows, columns, prefix=...) against NumPy."""
    module = build(d_model, ROWS, COLUMNS, prefix=prefix)
    table = grid_sinusoids_by_hand(ROWS, COLUMNS, d_model, prefix)
    assert_same_function(module, lambda x: x + table, [random(BATCH, len(table), d_model)])


def grid_rotation_by_hand(rows: int, columns: int, d_head: int, base: float = 100.0) -> tuple[Tensor, Tensor]:
    """cos and sin for each patch, (patches d_head), as transformers lays them out."""
    frequencies = 1.0 / base ** (np.arange(0, d_head, 4) / d_head)
    angles = [
        np.tile(np.concatenate((row * frequencies, column * frequencies)), 2)
        for row, column in places(rows, columns)
    ]
    return torch.from_numpy(np.cos(angles)), torch.from_numpy(np.sin(angles))


def rotated_by_dinov3(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    from transformers.models.dinov3_vit.modeling_dinov3_vit import apply_rotary_pos_emb

    return apply_rotary_pos_emb(q, k, *grid_rotation_by_hand(ROWS, COLUMNS, q.shape[3]))


def assert_grid_rotary_equals_dinov3(build: Build, prefix: int = 1, d_head: int = 12) -> None:
    """build(d_head, rows, columns, prefix=...) against transformers, whose angles are the only thing ours."""
    module = build(d_head, ROWS, COLUMNS, prefix=prefix)
    sizes = (BATCH, HEADS, prefix + ROWS * COLUMNS, d_head)
    for side in (0, 1):
        assert_same_function(
            lambda q, k, side=side: module(q, k)[side],
            lambda q, k, side=side: rotated_by_dinov3(q, k)[side],
            [random(*sizes), random(*sizes)],
        )


def assert_scores_depend_on_the_offset(build: Build) -> None:
    """The same q and the same k everywhere: each difference of rows and columns has one score of its own."""
    module = build(12, ROWS, COLUMNS)
    q, k = (random(1, 1, 1, 12).expand(1, 1, ROWS * COLUMNS, 12) for _ in range(2))
    turned_q, turned_k = module(q, k)
    scores = (turned_q @ turned_k.mT)[0, 0]
    by_offset = defaultdict(list)
    for m, (row, column) in enumerate(places(ROWS, COLUMNS)):
        for n, (other_row, other_column) in enumerate(places(ROWS, COLUMNS)):
            by_offset[row - other_row, column - other_column].append(scores[m, n])
    for offset, group in by_offset.items():
        assert_same(torch.stack(group), group[0].expand(len(group)), f"offset {offset}")
    firsts = torch.stack([group[0] for group in by_offset.values()]).sort().values
    assert len(firsts) == (2 * ROWS - 1) * (2 * COLUMNS - 1)
    assert firsts.diff().min() > 1e-6, "two offsets have one score"


def assert_learned_grid_adds_rows(build: Build, prefix: int = 1) -> None:
    module = randomised(build(13, ROWS, COLUMNS, prefix=prefix).double())
    table = module.embedding.weight
    ids = torch.arange(prefix + ROWS * COLUMNS)
    assert_same_function(
        module,
        lambda x: x + functional.embedding(ids, table).expand_as(x),
        [random(BATCH, len(ids), 13)],
        [(table, table)],
    )


def bicubic_by_hand(old: int, new: int) -> np.ndarray:
    """(new old): cubic convolution (Keys 1981) with a = -0.75, edges repeated, pixel centres aligned."""
    weights = np.zeros((new, old))
    for i in range(new):
        place = (i + 0.5) * old / new - 0.5
        for j in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            d, a = abs(place - j), -0.75
            near = (a + 2) * d**3 - (a + 3) * d**2 + 1
            far = a * (d**3 - 5 * d**2 + 8 * d - 4)
            weights[i, min(max(j, 0), old - 1)] += near if d <= 1 else far
    return weights


def assert_resized_equals_numpy(build: Build, rows: int = 4, columns: int = 2, prefix: int = 1) -> None:
    module = randomised(build(7, ROWS, COLUMNS, prefix=prefix).double())
    table = module.embedding.weight.detach().numpy()
    grid = table[prefix:].reshape(ROWS, COLUMNS, 7)
    by_row, by_column = bicubic_by_hand(ROWS, rows), bicubic_by_hand(COLUMNS, columns)
    expected = np.einsum("ri,cj,ijd->rcd", by_row, by_column, grid).reshape(-1, 7)
    expected = torch.from_numpy(np.concatenate((table[:prefix], expected)))
    x = random(BATCH, prefix + rows * columns, 7)
    resized = module.resized(rows, columns)
    assert_same(resized(x), x + expected, "resized positions")
    assert_same(resized.embedding.weight, expected, "resized table")


def assert_shared_learns_in_the_first_place(
    build: Build, rows: int = 2, columns: int = 4, prefix: int = 1
) -> None:
    module = randomised(build(7, ROWS, COLUMNS, prefix=prefix).double())
    shared, x = module.shared(rows, columns), random(BATCH, prefix + rows * columns, 7)
    for _ in range(2):
        assert_same(shared(x), module.resized(rows, columns)(x), "shared positions")
        with torch.no_grad():
            module.embedding.weight.mul_(2)
    nothing = torch.zeros(1, prefix + 15, 7, dtype=torch.float64)
    for other in (shared.shared(5, 3), shared.resized(5, 3)):
        assert_same(other(nothing), module.resized(5, 3)(nothing), "positions of positions")
    assert [id(each) for each in shared.parameters()] == [id(module.embedding.weight)]

    towards = random(prefix + rows * columns, 7)
    (shared(x) * towards).sum().backward()
    by_row, by_column = bicubic_by_hand(ROWS, rows), bicubic_by_hand(COLUMNS, columns)
    grid = towards[prefix:].numpy().reshape(rows, columns, 7)
    expected = np.einsum("ri,cj,rcd->ijd", by_row, by_column, grid).reshape(-1, 7)
    expected = torch.from_numpy(np.concatenate((towards[:prefix], expected)))
    assert_same(module.embedding.weight.grad, BATCH * expected, "gradient of the table")


@every_prefix
@pytest.mark.parametrize("d_model", [4, 20])
def test_sinusoids_equal_numpy(d_model, prefix):
    assert_equals_grid_sinusoids(SinusoidalGridPositions, prefix, d_model)


@every_prefix
def test_sinusoids_are_those_of_mae(prefix):
    """Theirs has all sines of an axis before all its cosines; the rest is alike."""
    from transformers.models.vit_mae.modeling_vit_mae import build_2d_sinusoidal_position_embedding

    theirs = build_2d_sinusoidal_position_embedding(
        ROWS, COLUMNS, 20, cls_token=bool(prefix), dtype=torch.float64
    )
    theirs = theirs.unflatten(1, (2, 2, 5)).transpose(2, 3).flatten(1)  # axis, sine or cosine, frequency
    assert_same(grid_sinusoids_by_hand(ROWS, COLUMNS, 20, prefix), theirs, "table")


def test_sinusoids_on_one_column_are_those_of_a_sequence():
    x = torch.zeros(1, 7, 20, dtype=torch.float64)
    grid = SinusoidalGridPositions(20, 7, 1)(x)
    assert_same(grid[..., :10], SinusoidalPositions(10)(x[..., :10]), "rows")


@every_prefix
@pytest.mark.parametrize("d_head", [4, 12])
def test_rotary_equals_dinov3(d_head, prefix):
    assert_grid_rotary_equals_dinov3(RotaryGridPositions, prefix, d_head)


def test_rotary_angles_are_those_of_qwen():
    """In float32, the only precision that transformers computes them in, and at our base."""
    from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLVisionRotaryEmbedding

    rope = {"rope_type": "axial", "rope_theta": 100.0}
    config = Qwen2VLVisionConfig(embed_dim=36, num_heads=3, rope_parameters=rope)
    config.head_dim = 12
    positions = torch.tensor(places(ROWS, COLUMNS))
    theirs = Qwen2VLVisionRotaryEmbedding(config)(torch.zeros(1), positions)
    for their, ours in zip(theirs, grid_rotation_by_hand(ROWS, COLUMNS, 12), strict=True):
        torch.testing.assert_close(their, ours.float(), rtol=0, atol=1e-6)


def test_rotary_scores_depend_on_the_offset_alone():
    assert_scores_depend_on_the_offset(RotaryGridPositions)


@every_prefix
def test_learned_positions_add_rows(prefix):
    assert_learned_grid_adds_rows(LearnedGridPositions, prefix)


@every_prefix
@pytest.mark.parametrize(("rows", "columns"), [(4, 2), (7, 11), (1, 1), (3, 5)])
def test_resized_equals_numpy(rows, columns, prefix):
    assert_resized_equals_numpy(LearnedGridPositions, rows, columns, prefix)


@every_prefix
@pytest.mark.parametrize(("rows", "columns"), [(2, 4), (7, 11)])
def test_shared_positions_are_the_resized_ones_and_learn_in_the_first_place(rows, columns, prefix):
    assert_shared_learns_in_the_first_place(LearnedGridPositions, rows, columns, prefix)


def test_resized_to_itself_is_a_copy():
    module = LearnedGridPositions(8, ROWS, COLUMNS, prefix=1).eval()
    other = module.resized(ROWS, COLUMNS)
    assert torch.equal(other.embedding.weight, module.embedding.weight)
    assert other.embedding.weight.requires_grad
    assert not other.training
    with torch.no_grad():
        other.embedding.weight.zero_()
    assert module.embedding.weight.all()


@every_prefix
@pytest.mark.parametrize("kind", [SinusoidalGridPositions, RotaryGridPositions])
def test_resized_formula_is_that_of_the_other_grid(kind, prefix):
    resized, fresh = kind(12, ROWS, COLUMNS, prefix=prefix).resized(2, 7), kind(12, 2, 7, prefix=prefix)
    tokens = prefix + 14
    arguments = [random(1, 3, tokens, 12)] * 2 if kind is RotaryGridPositions else [random(1, tokens, 12)]
    for one, other in zip(resized(*arguments), fresh(*arguments), strict=True):
        assert torch.equal(one, other)


def test_resized_keeps_the_base():
    assert RotaryGridPositions(12, 2, 3, base=7.0).resized(3, 2).base == 7.0


@pytest.mark.parametrize("kind", [SinusoidalGridPositions, RotaryGridPositions])
def test_fixed_positions_have_no_state_and_serve_training_after_inference(kind):
    module = copy.deepcopy(kind(12, 2, 11))
    assert not module.state_dict()
    sizes = (1, 2, 22, 12) if kind is RotaryGridPositions else (1, 22, 12)
    arguments = [torch.zeros(sizes) for _ in range(len(sizes) - 2)]
    with torch.inference_mode():
        module(*arguments)
    for argument in arguments:
        argument.requires_grad_()
    result = module(*arguments)
    (result if isinstance(result, Tensor) else sum(result)).sum().backward()
    assert all(argument.grad.isfinite().all() for argument in arguments)


@every_kind
def test_another_number_of_tokens(kind):
    module = kind(12, ROWS, COLUMNS, prefix=1)
    message = r"tokens=15 does not fit positions for 3 x 5 patches after 1 tokens; give 16 .*resized"
    arguments = [torch.zeros(2, 3, 15, 12)] * 2 if kind is RotaryGridPositions else [torch.zeros(2, 15, 12)]
    with pytest.raises(ValueError, match=message):
        module(*arguments)


@every_kind
@pytest.mark.parametrize("sizes", [(0, 5, 0), (3, -1, 0), (3, 5, -1)])
def test_a_grid_that_cannot_be(kind, sizes):
    rows, columns, prefix = sizes
    with pytest.raises(ValueError, match=f"a grid of {rows} x {columns} patches after {prefix} tokens"):
        kind(12, rows, columns, prefix=prefix)


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        (SinusoidalGridPositions, 18, "d_model=18 does not hold a sine and a cosine .*choose 16 or 20$"),
        (SinusoidalGridPositions, 2, "d_model=2 .*choose 4$"),
        (RotaryGridPositions, 6, "d_head=6 does not hold a pair to rotate .*choose 4 or 8$"),
    ],
)
def test_sizes_that_are_not_multiples_of_four(kind, size, message):
    with pytest.raises(ValueError, match=message):
        kind(size, ROWS, COLUMNS)
