"""Tiny random models of every published architecture, as transformers makes and reads them."""

from pathlib import Path
from typing import Any

import torch

TEXT = {"vocab_size": 37, "max_position_embeddings": 23}
BERT_SIZES = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20}
DISTIL_SIZES = {"dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20}
GPT2_SIZES = {"vocab_size": 37, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 23}
END = {"bos_token_id": 1, "eos_token_id": 1}

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertModel", "BertConfig", TEXT | BERT_SIZES),
    "bert-classifier": ("BertForSequenceClassification", "BertConfig", TEXT | BERT_SIZES | {"num_labels": 3}),
    "bert-masked": ("BertForMaskedLM", "BertConfig", TEXT | BERT_SIZES),
    "bert-pretraining": ("BertForPreTraining", "BertConfig", TEXT | BERT_SIZES),
    "bert-tanh": ("BertForMaskedLM", "BertConfig", TEXT | BERT_SIZES | {"hidden_act": "gelu_new"}),
    "roberta": ("RobertaModel", "RobertaConfig", TEXT | BERT_SIZES | {"type_vocab_size": 1}),
    "roberta-classifier": (
        "RobertaForSequenceClassification",
        "RobertaConfig",
        TEXT | BERT_SIZES | {"type_vocab_size": 1, "num_labels": 3, "layer_norm_eps": 1e-5},
    ),
    "roberta-masked": ("RobertaForMaskedLM", "RobertaConfig", TEXT | BERT_SIZES),
    "distilbert": ("DistilBertModel", "DistilBertConfig", TEXT | DISTIL_SIZES),
    "distilbert-classifier": (
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        TEXT | DISTIL_SIZES | {"num_labels": 3, "activation": "relu"},
    ),
    "distilbert-masked": ("DistilBertForMaskedLM", "DistilBertConfig", TEXT | DISTIL_SIZES),
    "gpt2": ("GPT2Model", "GPT2Config", GPT2_SIZES | END),
    "gpt2-lm": ("GPT2LMHeadModel", "GPT2Config", GPT2_SIZES | END | {"n_inner": 29}),
    "vit": (
        "ViTForImageClassification",
        "ViTConfig",
        BERT_SIZES | {"image_size": 12, "patch_size": 4, "num_labels": 3},
    ),
}
"""Name -> class, configuration, and what that is told."""


def random_model(kind: str) -> Any:
    import transformers

    model_class, config_class, settings = KINDS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(len(kind))
        config = getattr(transformers, config_class)(**settings, attn_implementation="sdpa")
        model = getattr(transformers, model_class)(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def opened(kind: str, folder: Path) -> Any:
    """transformers' own reading of it; its eager attention takes softmax in float32, sdpa does not."""
    import transformers

    return getattr(transformers, KINDS[kind][0]).from_pretrained(folder, attn_implementation="sdpa").eval()


def tiny_bert(folder: Path, words: str) -> Path:
    """A folder of a random BERT whose vocabulary has these words, read from vocab.txt."""
    import transformers

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words.split())]
    sizes = BERT_SIZES | {"vocab_size": len(pieces), "max_position_embeddings": 23}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.BertModel(transformers.BertConfig(**sizes))
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    return folder
