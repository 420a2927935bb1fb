import pytest
import torch

from glassformer.nn.masks import Mask, both, causal_mask, padding_mask


def test_padding_mask():
    assert padding_mask(torch.tensor([2, 0, 3, 5]), 3).tolist() == [
        [True, True, False],
        [False, False, False],
        [True, True, True],
        [True, True, True],
    ]


def test_causal_mask_is_aligned_at_the_top_left():
    assert causal_mask(2, 3).tolist() == [[True, False, False], [True, True, False]]
    assert causal_mask(3, 2).tolist() == [[True, False], [True, True], [True, True]]
    assert causal_mask(1).tolist() == [[True]]


@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (7, 5), (7, 7)])
def test_causal_mask_is_that_of_torch(queries, keys):
    q, k = torch.randn(1, 1, queries, 3), torch.randn(1, 1, keys, 3)
    attend = torch.nn.functional.scaled_dot_product_attention
    torch.testing.assert_close(attend(q, k, k, is_causal=True), attend(q, k, k, causal_mask(queries, keys)))


def masks():
    padding = torch.rand(3, 11) > 0.5
    return {
        "nothing": Mask(),
        "padding": Mask(padding),
        "causal": Mask(causal=True),
        "both": Mask(padding, causal=True),
    }


@pytest.mark.parametrize("kind", ["nothing", "padding", "causal", "both"])
def test_dense_says_who_may_attend_to_whom(kind):
    mask = masks()[kind]
    dense = mask.dense(7, 11)
    assert dense.dtype == torch.bool
    assert dense.shape == (1 if mask.keys is None else 3, 1, 7, 11)
    for b in range(len(dense)):
        for i in range(7):
            for j in range(11):
                expected = (mask.keys is None or bool(mask.keys[b, j])) and (not mask.causal or j <= i)
                assert bool(dense[b, 0, i, j]) == expected


@pytest.mark.parametrize("kind", ["nothing", "padding", "causal", "both"])
def test_tiles_are_parts_of_the_dense_mask(kind):
    mask = masks()[kind]
    dense = mask.dense(7, 11)
    for rows in (slice(0, 7), slice(2, 5), slice(6, 7), slice(3, 3)):
        for columns in (slice(0, 11), slice(4, 9), slice(0, 1)):
            assert torch.equal(mask.tile(rows, columns), dense[:, :, rows, columns])


def test_a_mask_that_masks_nothing_is_no_mask():
    full, part = torch.ones(2, 3, dtype=torch.bool), padding_mask(torch.tensor([3, 1]), 3)
    assert Mask.from_padding(None) is None
    assert Mask.from_padding(full) is None
    assert Mask.from_padding(part).keys is part
    assert Mask.from_padding(full, causal=True).keys is None
    assert Mask.from_padding(full, causal=True).causal
    assert Mask.from_padding(part, causal=True).keys is part


def test_both_allows_what_both_allow():
    ours = masks()
    for first in (None, *ours.values()):
        for second in (None, *ours.values()):
            combined = both(first, second)
            if first is None or second is None:
                assert combined is (second if first is None else first)
                continue
            expected = first.dense(7, 11) & second.dense(7, 11)
            assert torch.equal(combined.dense(7, 11), expected)
            assert torch.equal(both(first.dense(7, 11), second.dense(7, 11)), expected)


def test_both_refuses_a_mask_with_a_tensor():
    with pytest.raises(ValueError, match="cannot combine"):
        both(Mask(causal=True), causal_mask(3))


def test_padding_of_another_length_is_refused():
    with pytest.raises(ValueError, match="covers 11 keys but attention has 7"):
        masks()["padding"].dense(7, 7)
