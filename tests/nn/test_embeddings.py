import pytest
import torch

from glassformer.nn.embeddings import TokenEmbedding
from tests.nn.comparisons import assert_embedding_is_lookup


def build(vocab, d_model, scale):
    return TokenEmbedding(vocab, d_model, scale=scale)


@pytest.mark.parametrize("scale", [False, True])
def test_is_lookup(scale):
    assert_embedding_is_lookup(build, scale)


@pytest.mark.parametrize("scale", [False, True])
def test_starts_with_unit_variance(scale):
    y = build(997, 101, scale)(torch.arange(997)[None])
    assert 0.97 < y.std() < 1.03


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_shapes(batch, tokens, dtype):
    ids = torch.randint(23, (batch, tokens), dtype=dtype)
    assert TokenEmbedding(23, 13)(ids).shape == (batch, tokens, 13)


def test_an_unknown_id_is_an_error():
    with pytest.raises(IndexError):
        TokenEmbedding(23, 13)(torch.tensor([[23]]))
