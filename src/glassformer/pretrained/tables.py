"""Which of their tensors is which of ours: one table an architecture, read in both directions.

Left a module of ours, right the module of theirs whose weight and bias it has; {i} is the number of a block.
A tuple stands for several, one under the other, as our one product of queries, keys and values has them.
A leading 'T ' means transposed: GPT-2 keeps its matrices as x W, where torch.nn.Linear has x W^T.
A leading '= ' names a single tensor, no module.
"""

import re
from dataclasses import dataclass

Row = str | tuple[str, ...]
Table = dict[str, Row]

BERT: Table = {
    "embed.embedding": "embeddings.word_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "positions.embedding": "embeddings.position_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "blocks.{i}.attention.qkv": (
        "encoder.layer.{i}.attention.self.query",
        "encoder.layer.{i}.attention.self.key",
        "encoder.layer.{i}.attention.self.value",
    ),
    "blocks.{i}.attention.output": "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.attention_norm": "encoder.layer.{i}.attention.output.LayerNorm",
    "blocks.{i}.feed_forward.expand": "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.feed_forward.contract": "encoder.layer.{i}.output.dense",
    "blocks.{i}.feed_forward_norm": "encoder.layer.{i}.output.LayerNorm",
}

DISTILBERT: Table = {
    "embed.embedding": "embeddings.word_embeddings",
    "positions.embedding": "embeddings.position_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
    "blocks.{i}.attention.qkv": (
        "transformer.layer.{i}.attention.q_lin",
        "transformer.layer.{i}.attention.k_lin",
        "transformer.layer.{i}.attention.v_lin",
    ),
    "blocks.{i}.attention.output": "transformer.layer.{i}.attention.out_lin",
    "blocks.{i}.attention_norm": "transformer.layer.{i}.sa_layer_norm",
    "blocks.{i}.feed_forward.expand": "transformer.layer.{i}.ffn.lin1",
    "blocks.{i}.feed_forward.contract": "transformer.layer.{i}.ffn.lin2",
    "blocks.{i}.feed_forward_norm": "transformer.layer.{i}.output_layer_norm",
}

GPT2: Table = {
    "embed.embedding": "wte",
    "positions.embedding": "wpe",
    "blocks.{i}.attention_norm": "h.{i}.ln_1",
    "blocks.{i}.attention.qkv": "T h.{i}.attn.c_attn",
    "blocks.{i}.attention.output": "T h.{i}.attn.c_proj",
    "blocks.{i}.feed_forward_norm": "h.{i}.ln_2",
    "blocks.{i}.feed_forward.expand": "T h.{i}.mlp.c_fc",
    "blocks.{i}.feed_forward.contract": "T h.{i}.mlp.c_proj",
    "norm": "ln_f",
}

VIT: Table = {
    "cls": "= embeddings.cls_token",
    "positions.embedding": "= embeddings.position_embeddings",
    "embed.projection": "embeddings.patch_embeddings.projection",
    "blocks.{i}.attention_norm": "encoder.layer.{i}.layernorm_before",
    "blocks.{i}.attention.qkv": (
        "encoder.layer.{i}.attention.attention.query",
        "encoder.layer.{i}.attention.attention.key",
        "encoder.layer.{i}.attention.attention.value",
    ),
    "blocks.{i}.attention.output": "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.feed_forward_norm": "encoder.layer.{i}.layernorm_after",
    "blocks.{i}.feed_forward.expand": "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.feed_forward.contract": "encoder.layer.{i}.output.dense",
    "norm": "layernorm",
}


@dataclass(frozen=True)
class Layout:
    """A whole checkpoint. encoder: of what stands below the head, after `prefix` in all but bare encoders.

    classifier, masked_lm: of the heads, without prefix.
    unused: tensors that are no weights, or none that we have; regular expressions.
    """

    prefix: str
    encoder: Table
    classifier: Table
    masked_lm: Table
    unused: tuple[str, ...] = ()


_POSITION_IDS = r"embeddings\.position_ids"

LAYOUTS = {
    "bert": Layout(
        "bert.",
        BERT,
        {"head.hidden": "bert.pooler.dense", "head.output": "classifier"},
        {
            "head.hidden": "cls.predictions.transform.dense",
            "head.norm": "cls.predictions.transform.LayerNorm",
            "head.bias": "= cls.predictions.bias",
        },
        (
            _POSITION_IDS,
            r"pooler\.dense\..*",
            r"cls\.seq_relationship\..*",
            r"cls\.predictions\.decoder\.bias",
        ),
    ),
    "distilbert": Layout(
        "distilbert.",
        DISTILBERT,
        {"head.hidden": "pre_classifier", "head.output": "classifier"},
        {
            "head.hidden": "vocab_transform",
            "head.norm": "vocab_layer_norm",
            "head.bias": "= vocab_projector.bias",
        },
        (_POSITION_IDS,),
    ),
    "roberta": Layout(
        "roberta.",
        BERT,
        {"head.hidden": "classifier.dense", "head.output": "classifier.out_proj"},
        {"head.hidden": "lm_head.dense", "head.norm": "lm_head.layer_norm", "head.bias": "= lm_head.bias"},
        (_POSITION_IDS, r"pooler\.dense\..*", r"lm_head\.decoder\.bias"),
    ),
    "gpt2": Layout("transformer.", GPT2, {}, {}, (r"h\.\d+\.attn\.(masked_)?bias",)),
    "vit": Layout("vit.", VIT, {"head": "classifier"}, {}, (r"pooler\.dense\..*",)),
}
"""Architecture -> where everything stands in its files."""

TIED = {
    "bert": "cls.predictions.decoder.weight",
    "distilbert": "vocab_projector.weight",
    "roberta": "lm_head.decoder.weight",
    "gpt2": "lm_head.weight",
}
"""The output projection of a language model, the token embedding once more; most files leave it out."""


@dataclass(frozen=True)
class Place:
    """The tensors of theirs that one of ours is made of, one under the other."""

    names: tuple[str, ...]
    transposed: bool = False


def place_of(ours: str, table: Table) -> Place | None:
    """Where a tensor of ours comes from, by a table; None where no row has it."""
    module, _, kind = ours.rpartition(".")
    for pattern, row in table.items():
        single = isinstance(row, str) and row.startswith("= ")
        number = re.fullmatch(re.escape(pattern).replace(r"\{i\}", r"(\d+)"), ours if single else module)
        if number is None and single:  # a table of numbers that we keep as an embedding's weight
            number = re.fullmatch(re.escape(pattern), module)
        if number is None:
            continue
        rows = (row,) if isinstance(row, str) else row
        names = tuple(_filled(each, number.groups(), None if single else kind) for each in rows)
        return Place(names, transposed=rows[0].startswith("T ") and kind == "weight")
    return None


def _filled(row: str, numbers: tuple[str, ...], kind: str | None) -> str:
    name = row.removeprefix("T ").removeprefix("= ")
    if numbers:
        name = name.replace("{i}", numbers[0])
    return name if kind is None else f"{name}.{kind}"
