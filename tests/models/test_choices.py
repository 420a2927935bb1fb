"""What the names of a configuration promise of the models."""

from typing import Any

import pytest
import torch
from torch import nn

from glassformer.models.configs import TextClassifierConfig, VisionTransformerConfig
from glassformer.models.encoder import EncoderClassifier
from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.models.vision_transformer import VisionTransformer

SIZES: dict[str, Any] = {"layers": 2, "heads": 2, "d_model": 8, "d_ff": 6, "classes": 3}
TEXT = {"vocab": 11, "max_tokens": 6}
IMAGE = {"patch": 2, "channels": 1, "height": 4, "width": 6}


def rows_of_blocks(blocks: Any, call: Any) -> list[int]:
    """For how many tokens the feed-forward layer of each block worked."""
    rows: list[int] = []
    handles = [
        block.feed_forward.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[1]))
        for block in blocks
    ]
    call()
    for handle in handles:
        handle.remove()
    return rows


@pytest.mark.parametrize(("pool", "added", "last"), [("mean", 0, 6), ("cls", 1, 1), ("max", 0, 6)])
def test_the_last_block_computes_what_the_pool_reads(pool: Any, added: int, last: int) -> None:
    text: nn.Module = TextClassifier(TextClassifierConfig(**SIZES, **TEXT, pool=pool))
    image: nn.Module = VisionTransformer(VisionTransformerConfig(**SIZES, **IMAGE, pool=pool))
    published: Any = EncoderClassifier(PretrainedClassifierConfig(**SIZES, **TEXT, pool=pool))
    ids, images = torch.zeros(3, 6, dtype=torch.long), torch.zeros(3, 1, 4, 6)
    assert rows_of_blocks(text.blocks, lambda: text(ids)) == [6 + added, last]
    assert rows_of_blocks(image.blocks, lambda: image(images)) == [6 + added, last]
    assert rows_of_blocks(published.encoder.blocks, lambda: published(ids)) == [6, last]
