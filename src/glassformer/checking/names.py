"""What names say: of constructor arguments, of what forward takes, of parameters. Hints, never a verdict."""

import re
from collections.abc import Iterable

SIZES: dict[str, tuple[str, ...]] = {
    "d_model": (
        "d_model", "dmodel", "model_dim", "dim_model", "embed_dim", "embedding_dim", "emb_dim", "embed_size",
        "emb_size", "embedding_size", "embd", "n_embd", "n_embed", "embed", "emb", "dim", "d", "hidden_dim",
        "hidden_size", "hidden", "d_emb", "d_embed", "d_in", "in_dim", "dim_in", "input_dim", "in_features",
        "input_size", "channels", "in_channels", "c", "k", "features", "num_features", "size", "e", "width",
        "n_channels", "num_channels", "n_hidden", "num_hiddens", "model_size", "normalized_shape",
        "query_dim",
    ),
    "heads": (
        "heads", "n_heads", "num_heads", "nhead", "n_head", "h", "head", "nheads", "num_attention_heads",
        "head_num", "attention_heads", "number_of_heads", "num_head", "n_attention_heads",
    ),
    "d_head": (
        "d_head", "head_dim", "head_size", "dim_head", "dhead", "d_k", "dk", "d_q", "d_v", "dv", "d_key",
        "key_dim", "dim_k", "dim_v", "dim_q", "d_out", "out_dim", "dim_out", "value_dim", "output_dim",
        "d_qk",
        "qk_dim", "v_dim", "dk_dim", "d_value", "out_features", "head_width", "d_attn", "attn_dim",
        "inner_dim",
    ),
    "d_ff": (
        "d_ff", "dff", "ff_dim", "dim_ff", "ffn_dim", "dim_feedforward", "d_hidden", "mlp_dim", "hidden_ff",
        "d_inner", "d_ffn", "ff_size", "ffn_size", "feedforward_dim", "mlp_size", "ff_hidden",
        "intermediate_size",
        "ffn_hidden", "mlp_hidden", "hidden_features", "ff", "d_mlp",
    ),
    "max_len": (
        "max_len", "max_length", "max_seq_len", "max_tokens", "block_size", "context_length", "seq_len",
        "max_sequence_length", "n_positions", "num_positions", "max_positions", "maxlen", "length", "n_ctx",
        "context_size", "max_position_embeddings", "max_t", "sequence_length", "num_tokens", "n_tokens",
        "tokens",
    ),
    "dropout": ("dropout", "p", "p_drop", "drop", "dropout_p", "drop_rate", "dropout_rate", "attn_dropout",
                "p_dropout", "drop_p", "resid_dropout", "attn_pdrop", "resid_pdrop", "attention_dropout"),
    "bias": ("bias", "qkv_bias", "use_bias", "add_bias", "biases", "with_bias", "attn_bias"),
    "batch_first": ("batch_first",),
    "causal": ("causal", "is_causal", "masked", "use_causal_mask", "autoregressive", "causal_mask"),
    "eps": ("eps", "epsilon", "e", "layer_norm_eps"),
    "layers": ("layers", "n_layers", "num_layers", "depth", "n_layer", "num_blocks", "n_blocks", "blocks"),
    "vocab": ("vocab", "vocab_size", "n_vocab", "num_embeddings", "input_vocab", "num_tokens_vocab"),
    "classes": ("classes", "n_classes", "num_classes", "n_class", "num_labels", "output_size"),
    "image": ("image_size", "img_size", "image", "img", "resolution"),
    "patch": ("patch_size", "patch", "p", "patch_width", "patch_dim"),
}  # fmt: skip

FORWARD: dict[str, tuple[str, ...]] = {
    "query": ("q", "query", "queries", "x_q", "xq", "q_in", "query_input", "q_input", "inputs_q"),
    "key": ("k", "key", "keys", "x_k", "xk", "k_in", "key_input", "inputs_k"),
    "value": ("v", "value", "values", "x_v", "xv", "v_in", "val", "vals", "value_input", "inputs_v"),
    "x": ("x", "input", "inputs", "hidden_states", "hidden", "src", "tokens", "emb", "embeddings", "inp", "h",
          "embedded", "seq", "sequence", "feature_map", "features", "img", "image", "tgt", "target", "z",
          "xs"),
    "context": ("context", "memory", "enc", "encoder_output", "encoder_out", "enc_output", "enc_out", "kv",
        "y",
                "cross", "encoder_hidden_states", "ctx", "mem", "source", "key_value", "x_kv", "other",
                "kv_input", "inputs_kv", "encoded", "encoder_outputs", "cond", "x_context", "memory_states"),
}  # fmt: skip

SHUT = ("blocked", "ignored", "forbidden", "excluded")
"""Of such a mask the name itself says what True means."""
MASK_WORDS = ("mask", "pad", "causal", "lengths", "lens", "valid", "allowed", "attend", "visible", *SHUT)
FLAG_WORDS = (
    "need",
    "return",
    "with",
    "output_attentions",
    "average",
    "use_cache",
    "verbose",
    "get",
    "store",
)
IGNORES = (
    "key_padding_mask",
    "padding_mask",
    "pad_mask",
    "src_key_padding_mask",
    "ignore_mask",
    "is_pad",
    "pad",
)
ATTENDS = ("attention_mask", "attend", "allowed", "visible", "valid_mask", "keep", "keep_mask", "valid")


def size_role(name: str) -> str | None:
    """Which size a constructor argument asks for.

    >>> size_role("num_heads"), size_role("n_embd"), size_role("colour")
    ('heads', 'd_model', None)
    """
    bare = name.lower().strip("_")
    for role, known in SIZES.items():
        if bare in known:
            return role
    return None


def inner_widths(names: Iterable[str]) -> list[str]:
    """Of several arguments that are a width by their names, those that are the feed-forward layer's.

    >>> inner_widths(["dim", "n_heads", "hidden_dim"]), inner_widths(["hidden_size", "heads", "hidden_dim"])
    (['hidden_dim'], ['hidden_dim'])
    >>> inner_widths(["hidden_dim"]), inner_widths(["hidden_dim", "heads", "ff_dim", "input_dim"])
    ([], [])
    """
    roles = {each: size_role(each) for each in names}
    widths = [each for each, role in roles.items() if role == "d_model"]
    inner = [each for each in widths if "hidden" in each.lower()]
    if "d_ff" in roles.values():
        return []
    return inner[1:] if inner == widths else inner


def forward_role(name: str) -> str | None:
    """What an argument of forward is: query, key, value, x, context, mask, or None.

    >>> forward_role("key_padding_mask"), forward_role("enc_output"), forward_role("xq")
    ('mask', 'context', 'query')
    """
    bare = name.lower().strip("_")
    for role, known in FORWARD.items():
        if bare in known:
            return role
    if is_mask(bare):
        return "mask"
    for role, start in (("query", "quer"), ("key", "key"), ("value", "val")):
        if bare.startswith(start):
            return role
    return None


def is_mask(name: str) -> bool:
    """Whether an argument is a mask by its name, and no switch.

    >>> is_mask("attn_mask"), is_mask("return_mask")
    (True, False)
    """
    bare = name.lower()
    return any(word in bare for word in MASK_WORDS) and not bare.startswith(FLAG_WORDS)


OUTPUT = {
    "o", "out", "output", "wo", "proj", "projection", "fc", "unify", "unifyheads", "mix", "dense", "final",
    "combine",
    "merge", "join", "last", "result", "recombine", "woutput", "wout", "concat", "aggregate",
}  # fmt: skip
FILLING = {
    "w", "to", "weight", "weights", "bias", "lin", "linear", "proj", "projection", "map", "maps", "matrix",
    "head",
    "heads", "attn", "attention", "self", "layer", "in", "fc", "c", "mat", "net", "transform", "param",
    "b", "vec",
    "gen", "mha", "sa",
}  # fmt: skip


def projection_roles(name: str) -> str:
    """The projections that a parameter's name tells of: "q", "k", "v", "o", several, or nothing.

    >>> projection_roles("attn.to_q.weight"), projection_roles("W_K"), projection_roles("c_attn.weight")
    ('q', 'k', 'qkv')
    >>> projection_roles("kqv.weight"), projection_roles("heads.0.value.weight"), projection_roles("fc.bias")
    ('kqv', 'v', 'o')
    """
    spaced = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    words = [word for word in re.split(r"[^a-z]+", spaced) if word]
    if "c_attn" in spaced or "in_proj" in spaced or "inproj" in spaced:
        return "qkv"
    for word in words:
        bare = (
            word.removeprefix("to")
            .removeprefix("w")
            .removeprefix("lin")
            .removesuffix("proj")
            .removesuffix("w")
        )
        for found in (word, bare):
            if found and len(found) in (2, 3) and set(found) <= set("qkv") and len(set(found)) == len(found):
                return found
    for word in words:
        if word in FILLING:
            continue
        bare = word.removeprefix("w").removeprefix("b").removesuffix("proj").removesuffix("s") or word
        for letter, starts in (("q", ("quer", "q")), ("k", ("key", "k")), ("v", ("val", "v"))):
            if bare == letter or any(len(each) > 1 and word.startswith(each) for each in starts):
                return letter
    return "o" if any(word in OUTPUT or word.removeprefix("w") in OUTPUT for word in words) else ""
