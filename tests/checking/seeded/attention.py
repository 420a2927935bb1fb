"""Learners' mistakes in attention itself, put into right implementations.

`bases` holds the right ones, whole files in several styles. A mistake is a list of replacements in the text
of a base: what is replaced, what by, and how often it occurs where that is not once. `source` makes the wrong
file, with one mistake or with several at once. The slugs name what was seeded, not what the checker has to
say about it: some mistakes behave alike.
"""

from pathlib import Path

from tests.checking.seeded.edits import Edits, Seeds

BASES = Path(__file__).parent / "bases"
INF = 'float("-inf")'

MISTAKES: dict[str, dict[str, Edits]] = {
    # ------------------------------------------------------------------------------------------- the scale
    "no-scale": {
        "multihead_separate": [("        scores = scores / math.sqrt(self.d_k)\n", "")],
        "multihead_einsum": [("        sim = sim * self.scale\n", "")],
        "multihead_heads_list": [("        scores = scores * q.size(-1) ** -0.5\n", "")],
        "multihead_fused": [("(q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))", "q @ k.mT")],
        "multihead_sdpa": [("attn_mask=allowed", "attn_mask=allowed, scale=1.0")],
        "multihead_matrices": [("        S = S / self.d_head**0.5\n", "")],
        "multihead_bmm": [(" / math.sqrt(d)", "")],
        "multihead_chunks": [("        outputs = outputs / K_.size(2) ** 0.5\n", "")],
        "multihead_fold_length": [("        q = q * self.scaling\n", "")],
        "self_attention_linear": [("attn_scores / math.sqrt(d_k)", "attn_scores")],
        "self_attention_matrices": [("        scores = scores / self.d_k**0.5\n", "")],
        "attention_plain": [("    scores = scores / d_k**0.5\n", "")],
        "attention_einsum": [("    logits = logits * scale\n", "")],
        "attention_loop": [("        scores = scores / math.sqrt(query.shape[-1])\n", "")],
    },
    "scale-by-d-model": {
        "multihead_separate": [("math.sqrt(self.d_k)", "math.sqrt(self.d_model)")],
        "multihead_einsum": [("(dim // heads) ** -0.5", "dim**-0.5")],
        "multihead_heads_list": [("q.size(-1) ** -0.5", "x.size(-1) ** -0.5")],
        "multihead_fused": [("math.sqrt(k.size(-1))", "math.sqrt(C)")],
        "multihead_sdpa": [("attn_mask=allowed", "attn_mask=allowed, scale=query.size(-1) ** -0.5")],
        "multihead_matrices": [("S / self.d_head**0.5", "S / d**0.5")],
        "multihead_bmm": [("math.sqrt(d)", "math.sqrt(self.W_q.out_features)")],
        "multihead_chunks": [("K_.size(2) ** 0.5", "K.size(2) ** 0.5")],
        "multihead_fold_length": [("self.head_dim**-0.5", "embed_dim**-0.5")],
        "self_attention_linear": [("d_k = keys.size(-1)", "d_k = x.size(-1)")],
        "self_attention_matrices": [("self.d_k = d_k", "self.d_k = embed_dim")],
    },
    "scale-by-d-k": {
        "multihead_separate": [("math.sqrt(self.d_k)", "self.d_k")],
        "multihead_einsum": [("(dim // heads) ** -0.5", "1 / (dim // heads)")],
        "multihead_heads_list": [("scores * q.size(-1) ** -0.5", "scores / q.size(-1)")],
        "multihead_fused": [("(1.0 / math.sqrt(k.size(-1)))", "(1.0 / k.size(-1))")],
        # the function scales too
        "multihead_sdpa": [("attention(q, k, v,", "attention(q / self.head_dim**0.5, k, v,")],
        "multihead_matrices": [("S / self.d_head**0.5", "S / self.d_head")],
        "multihead_bmm": [("math.sqrt(d)", "d")],
        "multihead_chunks": [("K_.size(2) ** 0.5", "K_.size(2)")],
        "multihead_fold_length": [
            ("self.scaling\n", "self.scaling\n        k = k * self.scaling\n"),
        ],
        "self_attention_linear": [("math.sqrt(d_k)", "d_k")],
        "self_attention_matrices": [("scores / self.d_k**0.5", "scores / self.d_k")],
        "attention_plain": [("d_k**0.5", "d_k")],
        "attention_einsum": [("query.shape[-1] ** -0.5", "1.0 / query.shape[-1]")],
        "attention_loop": [("math.sqrt(query.shape[-1])", "query.shape[-1]")],
    },
    "scale-by-length": {
        "multihead_separate": [("math.sqrt(self.d_k)", "math.sqrt(keys)")],
        "multihead_heads_list": [("q.size(-1) ** -0.5", "k.size(1) ** -0.5")],
        "multihead_fused": [("math.sqrt(k.size(-1))", "math.sqrt(k.size(-2))")],
        "multihead_bmm": [("d = queries.shape[-1]", "d = keys.shape[1]")],
        "multihead_chunks": [("K_.size(2) ** 0.5", "K_.size(1) ** 0.5")],
        "self_attention_linear": [("d_k = keys.size(-1)", "d_k = keys.size(1)")],
        "self_attention_matrices": [("self.d_k**0.5", "x.shape[1] ** 0.5")],
        "attention_plain": [("d_k = q.size(-1)", "d_k = q.size(-2)")],
        "attention_einsum": [("query.shape[-1] ** -0.5", "key.shape[1] ** -0.5")],
        "attention_loop": [("query.shape[-1]", "queries.shape[1]")],
    },
    "scale-multiplied": {
        "multihead_separate": [("scores / math.sqrt(self.d_k)", "scores * math.sqrt(self.d_k)")],
        "multihead_einsum": [("(dim // heads) ** -0.5", "(dim // heads) ** 0.5")],
        "multihead_heads_list": [("q.size(-1) ** -0.5", "q.size(-1) ** 0.5")],
        "multihead_fused": [("(1.0 / math.sqrt(k.size(-1)))", "math.sqrt(k.size(-1))")],
        "multihead_sdpa": [("attn_mask=allowed", "attn_mask=allowed, scale=self.head_dim**0.5")],
        "multihead_matrices": [("S / self.d_head**0.5", "S * self.d_head**0.5")],
        "multihead_bmm": [(" / math.sqrt(d)", " * math.sqrt(d)")],
        "multihead_chunks": [("outputs / K_.size(2)", "outputs * K_.size(2)")],
        "multihead_fold_length": [("q * self.scaling", "q / self.scaling")],
        "self_attention_linear": [("attn_scores / math.sqrt(d_k)", "attn_scores * math.sqrt(d_k)")],
        "self_attention_matrices": [("scores / self.d_k**0.5", "scores * self.d_k**0.5")],
        "attention_plain": [("scores / d_k**0.5", "scores * d_k**0.5")],
        "attention_einsum": [("query.shape[-1] ** -0.5", "query.shape[-1] ** 0.5")],
        "attention_loop": [("scores / math.sqrt", "scores * math.sqrt")],
    },
    "scale-after-softmax": {
        "multihead_separate": [
            ("        scores = scores / math.sqrt(self.d_k)\n", ""),
            ("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=-1) / math.sqrt(self.d_k)"),
        ],
        "multihead_einsum": [
            ("        sim = sim * self.scale\n", ""),
            ("sim.softmax(dim=-1)", "sim.softmax(dim=-1) * self.scale"),
        ],
        "multihead_heads_list": [
            ("        scores = scores * q.size(-1) ** -0.5\n", ""),
            ("F.softmax(scores, dim=-1)", "F.softmax(scores, dim=-1) * q.size(-1) ** -0.5"),
        ],
        "multihead_fused": [
            (" * (1.0 / math.sqrt(k.size(-1)))", ""),
            ("F.softmax(att, dim=-1)", "F.softmax(att, dim=-1) / math.sqrt(k.size(-1))"),
        ],
        "multihead_sdpa": [
            ("attn_mask=allowed)", "attn_mask=allowed, scale=1)\n        out = out / self.head_dim**0.5")
        ],
        "multihead_matrices": [
            ("        S = S / self.d_head**0.5\n", ""),
            ("keepdim=True)\n        out", "keepdim=True) / self.d_head**0.5\n        out"),
        ],
        "multihead_bmm": [
            (" / math.sqrt(d)", ""),
            ("functional.softmax(scores, dim=-1)", "functional.softmax(scores, dim=-1) / math.sqrt(d)"),
        ],
        "multihead_chunks": [
            ("        outputs = outputs / K_.size(2) ** 0.5\n", ""),
            ("torch.softmax(outputs, dim=-1)", "torch.softmax(outputs, dim=-1) / K_.size(2) ** 0.5"),
        ],
        "self_attention_linear": [
            ("(attn_scores / math.sqrt(d_k), dim=-1)", "(attn_scores, dim=-1) / math.sqrt(d_k)")
        ],
        "attention_plain": [
            ("    scores = scores / d_k**0.5\n", ""),
            ("matmul(weights, v)", "matmul(weights, v) / d_k**0.5"),
        ],
        "attention_einsum": [
            ("    logits = logits * scale\n", ""),
            ("F.softmax(logits, dim=2)", "F.softmax(logits, dim=2) * scale"),
        ],
        "attention_loop": [
            ("        scores = scores / math.sqrt(query.shape[-1])\n", ""),
            (
                "        outputs.append(",
                "        weights = weights / math.sqrt(query.shape[-1])\n        outputs.append(",
            ),
        ],
    },
    # ----------------------------------------------------------------------------------------- the softmax
    "softmax-over-queries": {
        "multihead_separate": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=-2)")],
        "multihead_einsum": [("sim.softmax(dim=-1)", "sim.softmax(dim=2)")],
        "multihead_heads_list": [("F.softmax(scores, dim=-1)", "F.softmax(scores, dim=1)")],
        "multihead_fused": [("F.softmax(att, dim=-1)", "F.softmax(att, dim=-2)")],
        "multihead_matrices": [
            ("amax(dim=-1, ", "amax(dim=2, "),
            ("sum(dim=-1, ", "sum(dim=2, "),
        ],
        "multihead_bmm": [("functional.softmax(scores, dim=-1)", "functional.softmax(scores, dim=1)")],
        "multihead_chunks": [("softmax(outputs, dim=-1)", "softmax(outputs, dim=-2)")],
        "multihead_fold_length": [("F.softmax(attn, dim=-1)", "F.softmax(attn, dim=1)")],
        "self_attention_linear": [("math.sqrt(d_k), dim=-1)", "math.sqrt(d_k), dim=1)")],
        "self_attention_matrices": [("scores.softmax(dim=-1)", "scores.softmax(dim=-2)")],
        "attention_plain": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=-2)")],
        "attention_einsum": [("F.softmax(logits, dim=2)", "F.softmax(logits, dim=1)")],
    },
    "softmax-over-heads": {
        "multihead_separate": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=1)")],
        # the last axis, but not of what it was meant to be
        "multihead_einsum": [
            ("bihd,bjhd->bhij", "bihd,bjhd->bijh"),
            ("mask.unsqueeze(1)", "mask.unsqueeze(-1)"),
            ("bhij,bjhd->bihd", "bijh,bjhd->bihd"),
        ],
        # torch chooses the axis: 1 for four axes
        "multihead_fused": [("F.softmax(att, dim=-1)", "F.softmax(att)")],
        "multihead_matrices": [
            ("amax(dim=-1, ", "amax(dim=1, "),
            ("sum(dim=-1, ", "sum(dim=1, "),
        ],
        "multihead_bmm": [
            (
                "nn.functional.softmax(scores, dim=-1)",
                "scores.unflatten(0, (-1, self.num_heads)).softmax(dim=1).flatten(0, 1)",
            )
        ],
    },
    "softmax-over-batch": {
        "multihead_separate": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=0)")],
        "multihead_einsum": [("sim.softmax(dim=-1)", "sim.softmax(dim=0)")],
        # torch chooses the axis: 0 for three axes
        "multihead_heads_list": [("F.softmax(scores, dim=-1)", "F.softmax(scores)")],
        "multihead_fused": [("F.softmax(att, dim=-1)", "F.softmax(att, dim=0)")],
        "multihead_matrices": [
            ("amax(dim=-1, ", "amax(dim=0, "),
            ("sum(dim=-1, ", "sum(dim=0, "),
        ],
        "self_attention_linear": [("math.sqrt(d_k), dim=-1)", "math.sqrt(d_k), dim=0)")],
        "self_attention_matrices": [("scores.softmax(dim=-1)", "scores.softmax(dim=0)")],
        "attention_plain": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=0)")],
        "attention_einsum": [("F.softmax(logits, dim=2)", "F.softmax(logits)")],
        "attention_loop": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=0)")],
    },
    "softmax-twice": {
        "multihead_separate": [("weights @ v", "torch.softmax(weights, dim=-1) @ v")],
        "multihead_einsum": [("sim.softmax(dim=-1)", "sim.softmax(dim=-1).softmax(dim=-1)")],
        "multihead_heads_list": [("torch.bmm(weights, v)", "torch.bmm(F.softmax(weights, dim=-1), v)")],
        "multihead_fused": [("y = att @ v", "y = F.softmax(att, -1) @ v")],
        "multihead_bmm": [("bmm(weights, values)", "bmm(weights.softmax(-1), values)")],
        "multihead_chunks": [
            ("torch.softmax(outputs, dim=-1)", "nn.Softmax(dim=-1)(torch.softmax(outputs, dim=-1))")
        ],
        "self_attention_matrices": [
            ("        return torch", "        alpha = alpha.softmax(dim=-1)\n        return torch")
        ],
        "attention_plain": [("matmul(weights, v)", "matmul(weights.softmax(-1), v)")],
        "attention_einsum": [("F.softmax(logits, dim=2)", "F.softmax(F.softmax(logits, dim=2), dim=2)")],
        "attention_loop": [("(weights.unsqueeze(-1)", "(weights.softmax(-1).unsqueeze(-1)")],
    },
    "no-softmax": {
        "multihead_separate": [("torch.softmax(scores, dim=-1)", "scores")],
        "multihead_einsum": [("attn = sim.softmax(dim=-1)", "attn = sim")],
        "multihead_heads_list": [
            ("        weights = F.softmax(scores, dim=-1)\n", ""),
            ("bmm(weights, v)", "bmm(scores, v)"),
        ],
        "multihead_fused": [("        att = F.softmax(att, dim=-1)\n", "")],
        "multihead_bmm": [("nn.functional.softmax(scores, dim=-1)", "scores")],
        "self_attention_matrices": [("scores.softmax(dim=-1)", "scores")],
        "attention_plain": [("torch.softmax(scores, dim=-1)", "scores")],
        "attention_einsum": [("F.softmax(logits, dim=2)", "logits")],
    },
    "log-softmax": {
        "multihead_separate": [("torch.softmax(", "torch.log_softmax(")],
        "multihead_einsum": [("sim.softmax(", "sim.log_softmax(")],
        "multihead_heads_list": [("F.softmax(", "F.log_softmax(")],
        "multihead_fused": [("F.softmax(", "F.log_softmax(")],
        "multihead_bmm": [("functional.softmax(", "functional.log_softmax(")],
        "multihead_chunks": [("torch.softmax(outputs, dim=-1)", "nn.LogSoftmax(dim=-1)(outputs)")],
        "self_attention_linear": [("torch.softmax(", "torch.log_softmax(")],
        "attention_plain": [("torch.softmax(", "torch.log_softmax(")],
        "attention_einsum": [("F.softmax(", "F.log_softmax(")],
        "attention_loop": [("torch.softmax(", "torch.log_softmax(")],
    },
    # ------------------------------------------------------------------------------- queries, keys, values
    "q-k-swapped": {
        "multihead_separate": [
            ("q = self.q_proj(x)", "q = self.k_proj(x)"),
            ("k = self.k_proj(context)", "k = self.q_proj(context)"),
        ],
        # only runs with as many keys as queries
        "multihead_einsum": [("bihd,bjhd->bhij", "bjhd,bihd->bhij")],
        "multihead_heads_list": [
            ("q = self.query(x)", "q = self.key(x)"),
            ("k = self.key(context)", "k = self.query(context)"),
        ],
        "multihead_fused": [("q, k, v = self.c_attn", "k, q, v = self.c_attn")],
        "multihead_sdpa": [
            ("self.wq(query)", "self.wk(query)"),
            ("self.wk(key)", "self.wq(key)"),
        ],
        "multihead_matrices": [
            ("self.W_q + self.b_q", "self.W_k + self.b_k"),
            ("context @ self.W_k + self.b_k", "context @ self.W_q + self.b_q"),
        ],
        "multihead_bmm": [("bmm(queries, keys.transpose(1, 2))", "bmm(keys, queries.transpose(1, 2))")],
        "self_attention_linear": [("queries @ keys.transpose(1, 2)", "keys @ queries.transpose(1, 2)")],
        "self_attention_matrices": [("bie,bje->bij", "bje,bie->bij")],
        "attention_plain": [("torch.matmul(q, k.transpose(-2, -1))", "torch.matmul(k, q.transpose(-2, -1))")],
        "attention_einsum": [('"bqd,bkd->bqk", query, key', '"bqd,bkd->bqk", key, query')],
        "attention_loop": [
            ("query = queries[:, i]", "query = keys[:, i]"),
            ('"bkd,bd->bk", keys,', '"bkd,bd->bk", queries,'),
        ],
    },
    "k-v-swapped": {
        "multihead_separate": [
            ("k = self.k_proj(context)", "k = self.v_proj(context)"),
            ("v = self.v_proj(context)", "v = self.k_proj(context)"),
        ],
        "multihead_einsum": [
            ('"bihd,bjhd->bhij", q, k', '"bihd,bjhd->bhij", q, v'),
            ('"bhij,bjhd->bihd", attn, v', '"bhij,bjhd->bihd", attn, k'),
        ],
        "multihead_heads_list": [
            ("k = self.key(context)", "k = self.value(context)"),
            ("v = self.value(context)", "v = self.key(context)"),
        ],
        "multihead_fused": [("q, k, v = self.c_attn", "q, v, k = self.c_attn")],
        # SDPA given its arguments in the wrong order
        "multihead_sdpa": [("attention(q, k, v,", "attention(q, v, k,")],
        "multihead_matrices": [
            ("S = Q @ K.mT", "S = Q @ V.mT"),
            ("out = A @ V", "out = A @ K"),
        ],
        "multihead_bmm": [
            ("self.W_k(keys)", "self.W_v(keys)"),
            ("self.W_v(values)", "self.W_k(values)"),
        ],
        "multihead_chunks": [
            ("K = self.k_linear(keys)", "K = self.v_linear(values)"),
            ("V = self.v_linear(values)", "V = self.k_linear(keys)"),
        ],
        "self_attention_linear": [
            ("keys = self.W_key(x)", "keys = self.W_value(x)"),
            ("values = self.W_value(x)", "values = self.W_key(x)"),
        ],
        "attention_plain": [
            ("matmul(q, k.transpose", "matmul(q, v.transpose"),
            ("matmul(weights, v)", "matmul(weights, k)"),
        ],
        "attention_einsum": [
            ('"bqd,bkd->bqk", query, key', '"bqd,bkd->bqk", query, value'),
            ("probs, value)", "probs, key)"),
        ],
        "attention_loop": [
            ('"bkd,bd->bk", keys,', '"bkd,bd->bk", values,'),
            ("weights.unsqueeze(-1) * values", "weights.unsqueeze(-1) * keys"),
        ],
    },
    "wrong-projection": {
        "multihead_separate": [("v = self.v_proj(context)", "v = self.k_proj(context)")],
        "multihead_einsum": [("self.to_k(key)", "self.to_q(key)")],
        "multihead_heads_list": [("v = self.value(context)", "v = self.key(context)")],
        "multihead_fused": [
            (
                "q, k, v = self.c_attn(x).split(self.n_embd, dim=2)",
                "qkv = self.c_attn(x)\n"
                "        q, k, v = qkv[..., :C], qkv[..., C : 2 * C], qkv[..., C : 2 * C]",
            )
        ],
        "multihead_sdpa": [("self.wv(value)", "self.wq(value)")],
        "multihead_matrices": [("context @ self.W_k + self.b_k", "context @ self.W_q + self.b_q")],
        "multihead_bmm": [("self.W_v(values)", "self.W_k(values)")],
        "multihead_chunks": [("torch.chunk(V, ", "torch.chunk(K, ")],
        "multihead_fold_length": [("self.in_proj_k(key)", "self.in_proj_q(key)")],
        "self_attention_linear": [("self.W_value(x)", "self.W_key(x)")],
        "self_attention_matrices": [("x, self.Wk)", "x, self.Wq)")],
    },
    "cross-attends-to-itself": {
        "multihead_separate": [
            ("self.k_proj(context)", "self.k_proj(x)"),
            ("self.v_proj(context)", "self.v_proj(x)"),
            ("keys = context.shape[1]", "keys = queries"),
        ],
        "multihead_einsum": [
            ("self.to_k(key)", "self.to_k(query)"),
            ("self.to_v(value)", "self.to_v(query)"),
        ],
        "multihead_heads_list": [("head(x, context, padding_mask)", "head(x, x, padding_mask)")],
        "multihead_sdpa": [
            ("self.wk(key)", "self.wk(query)"),
            ("self.wv(value)", "self.wv(query)"),
            ("key.size(1)", "query.size(1)"),
        ],
        "multihead_matrices": [("if context is None:\n            context = x", "context = x")],
        "multihead_bmm": [
            ("        queries = self.tr", "        q = queries\n        queries = self.tr"),
            ("self.W_k(keys)", "self.W_k(q)"),
            ("self.W_v(values)", "self.W_v(q)"),
        ],
        "multihead_chunks": [
            ("k_linear(keys)", "k_linear(queries)"),
            ("v_linear(values)", "v_linear(queries)"),
        ],
    },
    # ------------------------------------------------------------------------------------------ parameters
    "no-output-projection": {
        "multihead_separate": [
            ("        self.out_proj = nn.Linear(d_model, d_model, bias=bias)\n", ""),
            ("return self.out_proj(out)", "return out"),
        ],
        "multihead_einsum": [("return self.to_out(out)", "return out")],
        "multihead_heads_list": [
            ("        self.proj = nn.Linear(d_model, d_model)\n", ""),
            ("return self.proj(out)", "return out"),
        ],
        "multihead_fused": [("return self.c_proj(y)", "return y")],
        "multihead_sdpa": [("return self.wo(self.merge_heads(out))", "return self.merge_heads(out)")],
        "multihead_matrices": [("return out @ self.W_o + self.b_o", "return out")],
        "multihead_bmm": [("return self.W_o(output_concat)", "return output_concat")],
        "multihead_chunks": [
            ("        self.o_linear = nn.Linear(num_units, num_units)\n", ""),
            ("return self.o_linear(outputs)", "return outputs"),
        ],
    },
    "missing-bias": {
        "multihead_separate": [
            (
                "self.v_proj = nn.Linear(d_model, d_model, bias=bias)",
                "self.v_proj = nn.Linear(d_model, d_model, bias=False)",
            )
        ],
        "multihead_einsum": [
            ("self.to_out = nn.Linear(dim, dim, bias=bias)", "self.to_out = nn.Linear(dim, dim, bias=False)")
        ],
        "multihead_fused": [("3 * n_embd, bias=bias", "3 * n_embd, bias=False")],
        "multihead_sdpa": [
            (
                "self.wq = nn.Linear(embed_dim, embed_dim, bias=bias)",
                "self.wq = nn.Linear(embed_dim, embed_dim, bias=False)",
            )
        ],
        # made, and not added
        "multihead_matrices": [("self.W_o + self.b_o", "self.W_o")],
        "multihead_bmm": [("self.W_q(queries)", "nn.functional.linear(queries, self.W_q.weight)")],
        "self_attention_linear": [
            (
                "self.W_value = nn.Linear(d_in, d_out, bias=bias)",
                "self.W_value = nn.Linear(d_in, d_out, bias=False)",
            )
        ],
    },
    # a bias of the keys adds the same to all scores of a query: without it the output stays right
    "missing-key-bias": {
        "multihead_separate": [
            (
                "self.k_proj = nn.Linear(d_model, d_model, bias=bias)",
                "self.k_proj = nn.Linear(d_model, d_model, bias=False)",
            )
        ],
        "multihead_matrices": [("self.W_k + self.b_k", "self.W_k")],
    },
    "attention-weights-transposed": {
        "multihead_separate": [("weights @ v", "weights.transpose(-2, -1) @ v")],
        "multihead_einsum": [("bhij,bjhd->bihd", "bhij,bihd->bjhd")],
        "multihead_heads_list": [("torch.bmm(weights, v)", "torch.bmm(weights.transpose(1, 2), v)")],
        "multihead_fused": [("y = att @ v", "y = att.transpose(-2, -1) @ v")],
        "multihead_matrices": [("A @ V", "A.mT @ V")],
        "multihead_bmm": [("torch.bmm(weights, values)", "torch.bmm(weights.transpose(1, 2), values)")],
        "multihead_chunks": [("torch.bmm(outputs, V_)", "torch.bmm(outputs.permute(0, 2, 1), V_)")],
        "multihead_fold_length": [("torch.bmm(attn, v)", "torch.bmm(attn.transpose(1, 2), v)")],
        "self_attention_linear": [("attn_weights @ values", "attn_weights.transpose(1, 2) @ values")],
        "self_attention_matrices": [("bij,bje->bie", "bij,bie->bje")],
        "attention_plain": [("torch.matmul(weights, v)", "torch.matmul(weights.transpose(-2, -1), v)")],
        "attention_einsum": [("bqk,bkd->bqd", "bqk,bqd->bkd")],
    },
    "values-not-mixed": {
        "multihead_separate": [("out = weights @ v", "out = v")],
        "multihead_einsum": [("bhij,bjhd->bihd", "bhij,bihd->bihd")],
        "multihead_fused": [("y = att @ v", "y = att.sum(dim=-1, keepdim=True) * v")],
        "multihead_bmm": [("torch.bmm(weights, values)", 'torch.einsum("bij,bjd->bjd", weights, values)')],
        "self_attention_linear": [("attn_weights @ values", "attn_weights.sum(-1, keepdim=True) * values")],
        "self_attention_matrices": [("bij,bje->bie", "bij,bje->bje")],
        "attention_einsum": [("bqk,bkd->bqd", "bqk,bqd->bqd")],
        "attention_loop": [("(weights.unsqueeze(-1) * values).sum(dim=1)", "values[:, i]")],
    },
    "weights-transposed": {
        "multihead_separate": [
            ("self.q_proj(x)", "x @ self.q_proj.weight + self.q_proj.bias"),
            ("self.k_proj(context)", "context @ self.k_proj.weight + self.k_proj.bias"),
            ("self.v_proj(context)", "context @ self.v_proj.weight + self.v_proj.bias"),
        ],
        "multihead_fused": [
            ("self.c_proj(y)", "F.linear(y, self.c_proj.weight.T, self.c_proj.bias)"),
        ],
        "multihead_matrices": [
            ("self.W_q + self.b_q", "self.W_q.T + self.b_q"),
            ("self.W_k + self.b_k", "self.W_k.T + self.b_k"),
            ("self.W_v + self.b_v", "self.W_v.T + self.b_v"),
        ],
        "multihead_bmm": [("self.W_o(output_concat)", "output_concat @ self.W_o.weight + self.W_o.bias")],
    },
    # ----------------------------------------------------------------------------------------------- heads
    "split-without-transpose": {
        "multihead_separate": [
            (
                "q.view(batch, queries, self.num_heads, self.d_k).transpose(1, 2)",
                "q.view(batch, self.num_heads, queries, self.d_k)",
            ),
            (
                "k.view(batch, keys, self.num_heads, self.d_k).transpose(1, 2)",
                "k.view(batch, self.num_heads, keys, self.d_k)",
            ),
            (
                "v.view(batch, keys, self.num_heads, self.d_k).transpose(1, 2)",
                "v.view(batch, self.num_heads, keys, self.d_k)",
            ),
        ],
        "multihead_einsum": [
            ("t.unflatten(-1, (self.heads, -1))", "t.reshape(len(t), self.heads, t.size(1), -1)"),
            ("bihd,bjhd->bhij", "bhid,bhjd->bhij"),
            ("bhij,bjhd->bihd", "bhij,bhjd->bihd"),
        ],
        "multihead_fused": [
            (
                f"{x}.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
                f"{x}.reshape(B, self.n_head, T, C // self.n_head)",
            )
            for x in "qkv"
        ],
        "multihead_sdpa": [
            (
                "x.view(batch, length, self.num_heads, self.head_dim).transpose(1, 2)",
                "x.reshape(batch, self.num_heads, length, self.head_dim)",
            )
        ],
        "multihead_matrices": [
            (f"({n}, self.n_heads, self.d_head).permute(0, 2, 1, 3)", f"({m}, self.d_head)", count)
            for n, m, count in [
                ("n, l_q", "n, self.n_heads, l_q", 1),
                ("n, l_k", "n, self.n_heads, l_k", 2),
            ]
        ],
        "multihead_bmm": [
            (
                "X.reshape(X.shape[0], X.shape[1], self.num_heads, -1)\n        X = X.permute(0, 2, 1, 3)",
                "X.reshape(X.shape[0], self.num_heads, X.shape[1], -1)",
            )
        ],
        "multihead_fold_length": [
            (
                f"{length}, bsz * self.num_heads, self.head_dim).transpose(0, 1)",
                f"bsz * self.num_heads, {length}, self.head_dim)",
                n,
            )
            for length, n in [("tgt_len", 1), ("src_len", 2)]
        ],
    },
    "merge-without-transpose": {
        "multihead_separate": [("out.transpose(1, 2).reshape(", "out.reshape(")],
        "multihead_einsum": [
            ("bhij,bjhd->bihd", "bhij,bjhd->bhid"),
            ("out.flatten(2)", "out.reshape(query.shape)"),
        ],
        "multihead_fused": [("y.transpose(1, 2).contiguous().view(", "y.contiguous().view(")],
        "multihead_sdpa": [("x.transpose(1, 2).reshape(", "x.reshape(")],
        "multihead_matrices": [("out.permute(0, 2, 1, 3).reshape(", "out.reshape(")],
        "multihead_bmm": [
            (
                "X = X.permute(0, 2, 1, 3)\n        return X.reshape(X.shape[0], X.shape[1], -1)",
                "return X.reshape(X.shape[0], X.shape[2], -1)",
            )
        ],
        "multihead_chunks": [
            ("torch.cat(torch.chunk(outputs, self.num_heads, dim=0), dim=2)", "outputs.reshape(Q.shape)")
        ],
        "multihead_fold_length": [("out.transpose(0, 1).reshape(", "out.reshape(")],
    },
    "interleaved-heads": {
        "multihead_separate": [
            (
                f"{x}.view(batch, {length}, self.num_heads, self.d_k).transpose(1, 2)",
                f"{x}.view(batch, {length}, self.d_k, self.num_heads).permute(0, 3, 1, 2)",
            )
            for x, length in [("q", "queries"), ("k", "keys"), ("v", "keys")]
        ],
        "multihead_einsum": [
            ("(self.heads, -1)", "(-1, self.heads)"),
            ("bihd,bjhd->bhij", "bidh,bjdh->bhij"),
            ("bhij,bjhd->bihd", "bhij,bjdh->bihd"),
        ],
        "multihead_heads_list": [
            ("torch.cat([", "torch.stack(["),
            ("for head in self.heads], dim=-1)", "for head in self.heads], dim=-1).flatten(2)"),
        ],
        "multihead_fused": [
            (
                f"{x}.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)",
                f"{x}.view(B, T, C // self.n_head, self.n_head).permute(0, 3, 1, 2)",
            )
            for x in "qkv"
        ],
        "multihead_sdpa": [
            (
                "x.view(batch, length, self.num_heads, self.head_dim).transpose(1, 2)",
                "x.view(batch, length, self.head_dim, self.num_heads).permute(0, 3, 1, 2)",
            )
        ],
        "multihead_bmm": [
            (
                "X.shape[1], self.num_heads, -1)\n        X = X.permute(0, 2, 1, 3)",
                "X.shape[1], -1, self.num_heads)\n        X = X.permute(0, 3, 1, 2)",
            )
        ],
        "multihead_chunks": [
            (
                f"torch.chunk({x}, self.num_heads, dim=2)",
                f"[{x}[..., i :: self.num_heads] for i in range(self.num_heads)]",
            )
            for x in "QKV"
        ],
    },
    "heads-on-slices": {
        "multihead_separate": [
            edit
            for x, of_what in (("q", "x"), ("k", "context"), ("v", "context"))
            for edit in (
                (
                    f"self.{x}_proj = nn.Linear(d_model, d_model,",
                    f"self.{x}_proj = nn.Linear(self.d_k, self.d_k,",
                ),
                (f"self.{x}_proj({of_what})", f"self.{x}_proj({of_what}.unflatten(-1, (-1, self.d_k)))"),
            )
        ],
        "multihead_einsum": [
            edit
            for x, of_what in (("q", "query"), ("k", "key"), ("v", "value"))
            for edit in (
                (
                    f"self.to_{x} = nn.Linear(dim, dim,",
                    f"self.to_{x} = nn.Linear(dim // heads, dim // heads,",
                ),
                (f"self.split(self.to_{x}({of_what}))", f"self.to_{x}(self.split({of_what}))"),
            )
        ],
        "multihead_heads_list": [
            ("nn.Linear(d_model, head_size)", "nn.Linear(head_size, head_size)", 3),
            (
                "head(x, context, padding_mask) for head in self.heads",
                "head(a, b, padding_mask) for head, a, b in "
                "zip(self.heads, x.chunk(len(self.heads), -1), context.chunk(len(self.heads), -1))",
            ),
        ],
        "multihead_bmm": [
            edit
            for x, of_what in (("q", "queries"), ("k", "keys"), ("v", "values"))
            for edit in (
                (
                    f"self.W_{x} = nn.Linear(num_hiddens, num_hiddens,",
                    f"self.W_{x} = nn.Linear(num_hiddens // num_heads, num_hiddens // num_heads,",
                ),
                (
                    f"self.W_{x}({of_what})",
                    f"self.W_{x}({of_what}.unflatten(-1, (self.num_heads, -1))).flatten(2)",
                ),
            )
        ],
    },
    "heads-share-projection": {
        "multihead_heads_list": [
            (
                "_Head(d_model, d_model // n_heads, causal) for _ in range(n_heads)",
                "[_Head(d_model, d_model // n_heads, causal)] * n_heads",
            )
        ],
        "multihead_einsum": [
            edit
            for x, of_what in (("k", "key"), ("v", "value"))
            for edit in (
                (f"self.to_{x} = nn.Linear(dim, dim,", f"self.to_{x} = nn.Linear(dim, dim // heads,"),
                (
                    f"self.split(self.to_{x}({of_what}))",
                    f"self.to_{x}({of_what}).unsqueeze(2).expand(-1, -1, self.heads, -1)",
                ),
            )
        ],
        "multihead_matrices": [
            edit
            for x in "kv"
            for edit in (
                (
                    f"self.W_{x} = nn.Parameter(torch.randn(d_model, d_model)",
                    f"self.W_{x} = nn.Parameter(torch.randn(d_model, self.d_head)",
                ),
                (
                    f"self.b_{x} = nn.Parameter(torch.zeros(d_model))",
                    f"self.b_{x} = nn.Parameter(torch.zeros(self.d_head))",
                ),
                (
                    f"context @ self.W_{x} + self.b_{x}",
                    f"(context @ self.W_{x} + self.b_{x}).repeat(1, 1, self.n_heads)",
                ),
            )
        ],
    },
    "heads-averaged": {
        "multihead_separate": [
            ("self.out_proj = nn.Linear(d_model, d_model", "self.out_proj = nn.Linear(self.d_k, d_model"),
            ("out.transpose(1, 2).reshape(batch, queries, self.d_model)", "out.mean(dim=1)"),
        ],
        "multihead_einsum": [
            ("self.to_out = nn.Linear(dim, dim", "self.to_out = nn.Linear(dim // heads, dim"),
            ("out.flatten(2)", "out.mean(2)"),
        ],
        "multihead_heads_list": [
            ("self.proj = nn.Linear(d_model, d_model)", "self.proj = nn.Linear(d_model // n_heads, d_model)"),
            ("torch.cat([", "torch.stack(["),
            ("for head in self.heads], dim=-1)", "for head in self.heads]).mean(dim=0)"),
        ],
        # repeated until it fits the matrix
        "multihead_matrices": [
            ("out.permute(0, 2, 1, 3).reshape(n, l_q, d)", "out.mean(dim=1).repeat(1, 1, self.n_heads)")
        ],
        "multihead_bmm": [
            (
                "X = X.permute(0, 2, 1, 3)\n        return X.reshape(X.shape[0], X.shape[1], -1)",
                "return X.mean(dim=1)",
            ),
            ("self.W_o = nn.Linear(num_hiddens,", "self.W_o = nn.Linear(num_hiddens // num_heads,"),
        ],
        "multihead_chunks": [
            (
                "torch.cat(torch.chunk(outputs, self.num_heads, dim=0), dim=2)",
                "sum(outputs.chunk(self.num_heads)) / self.num_heads",
            ),
            ("self.o_linear = nn.Linear(num_units,", "self.o_linear = nn.Linear(num_units // num_heads,"),
        ],
    },
    "one-big-head": {
        # the scale stays that of a head
        "multihead_separate": [
            (f"        {x} = {x}.view(batch, {length}, self.num_heads, self.d_k).transpose(1, 2)\n", new)
            for x, length, new in [
                ("q", "queries", "        q, k, v = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)\n"),
                ("k", "keys", ""),
                ("v", "keys", ""),
            ]
        ],
        "multihead_einsum": [("(self.heads, -1)", "(1, -1)")],
        "multihead_heads_list": [
            (
                "_Head(d_model, d_model // n_heads, causal) for _ in range(n_heads)",
                "[_Head(d_model, d_model, causal)]",
            )
        ],
        # the scale is that of the big head
        "multihead_fused": [("self.n_head = n_head", "self.n_head = 1")],
        "multihead_sdpa": [
            ("self.num_heads, self.head_dim)", "1, self.num_heads * self.head_dim)"),
        ],
        "multihead_bmm": [
            (
                "        if mask is not None:\n"
                "            mask = torch.repeat_interleave(mask, repeats=self.num_heads, dim=0)\n",
                "",
            ),
            ("self.transpose_qkv(self.W_q(queries))", "self.W_q(queries)"),
            ("self.transpose_qkv(self.W_k(keys))", "self.W_k(keys)"),
            ("self.transpose_qkv(self.W_v(values))", "self.W_v(values)"),
            ("self.transpose_output(output)", "output"),
        ],
        "multihead_fold_length": [
            ("tgt_len, bsz * self.num_heads, self.head_dim)", "tgt_len, bsz, self.embed_dim)"),
            ("src_len, bsz * self.num_heads, self.head_dim)", "src_len, bsz, self.embed_dim)", 2),
            ("key_mask.repeat_interleave(self.num_heads, dim=0)", "key_mask"),
        ],
    },
    # the queries' length stands for all of them
    "equal-lengths-only": {
        "multihead_separate": [("keys = context.shape[1]", "keys = queries")],
        "multihead_sdpa": [
            ("torch.ones(query.size(1), key.size(1),", "torch.ones(query.size(1), query.size(1),")
        ],
        "multihead_heads_list": [("torch.ones(q.size(1), k.size(1),", "torch.ones(q.size(1), q.size(1),")],
        "multihead_fold_length": [("src_len = key.size(1)", "src_len = tgt_len")],
    },
    "batch-length-swapped": {
        # the memory read as if the length came first
        "multihead_separate": [
            (
                f"{x}.view(batch, {length}, self.num_heads, self.d_k).transpose(1, 2)",
                f"{x}.view({length}, batch, self.num_heads, self.d_k).permute(1, 2, 0, 3)",
            )
            for x, length in [("q", "queries"), ("k", "keys"), ("v", "keys")]
        ]
        + [
            (
                "out.transpose(1, 2).reshape(batch, queries, self.d_model)",
                "out.permute(2, 0, 1, 3).reshape(queries, batch, -1).view(batch, queries, -1)",
            )
        ],
        # written for (length, batch, ...): only runs with as many keys as queries
        "multihead_einsum": [
            ("bihd,bjhd->bhij", "ibhd,jbhd->bhij"),
            ("bhij,bjhd->bihd", "bhij,jbhd->ibhd"),
        ],
        "multihead_fused": [
            ("B, T, C = x.size()", "x = x.transpose(0, 1).contiguous()\n        B, T, C = x.size()"),
            ("return self.c_proj(y)", "return self.c_proj(y).transpose(0, 1)"),
        ],
        "multihead_fold_length": [
            (
                "        query, key, value = (t.transpose(0, 1).contiguous() for t in (query, key, value))\n",
                "",
            ),
            (".reshape(tgt_len, bsz, self.embed_dim)", ".reshape(bsz, tgt_len, self.embed_dim)"),
            ("return self.out_proj(out).transpose(0, 1)", "return self.out_proj(out)"),
        ],
        "self_attention_linear": [
            ("queries = self.W_query(x)", "x = x.transpose(0, 1)\n        queries = self.W_query(x)"),
            ("return attn_weights @ values", "return (attn_weights @ values).transpose(0, 1)"),
        ],
        "self_attention_matrices": [
            ("bie,bje->bij", "ibe,jbe->bij"),
            ("bij,bje->bie", "bij,jbe->ibe"),
        ],
        "attention_einsum": [("bqd,bkd->bqk", "qbd,kbd->bqk"), ("bqk,bkd->bqd", "bqk,kbd->qbd")],
        # only what comes out
        "attention_loop": [
            ("return torch.stack(outputs, dim=1)", "return torch.stack(outputs).view(*queries.shape[:2], -1)")
        ],
    },
    # ---------------------------------------------------------------------------------------- causal masks
    "causal-excludes-self": {
        "multihead_separate": [(".tril()", ".tril(-1)")],
        "multihead_heads_list": [("torch.tril(allowed)", "torch.tril(allowed, diagonal=-1)")],
        "multihead_fused": [(".tril()", ".tril(diagonal=-1)")],
        "multihead_sdpa": [("allowed.tril()", "allowed.tril(-1)")],
        "multihead_chunks": [("torch.ones_like(outputs[0]))", "torch.ones_like(outputs[0]), -1)")],
        "self_attention_linear": [("mask.tril()", "mask.tril(-1)")],
        "self_attention_matrices": [("triu(diagonal=1)", "triu()")],
        "attention_einsum": [("allowed.tril()", "allowed.tril(-1)")],
        "attention_loop": [("i + 1 :", "i:")],
    },
    "causal-one-too-far": {
        "multihead_separate": [(".tril()", ".tril(1)")],
        "multihead_heads_list": [("torch.tril(allowed)", "torch.tril(allowed, diagonal=1)")],
        "multihead_fused": [(".tril()", ".tril(diagonal=1)")],
        "multihead_sdpa": [("allowed.tril()", "allowed.tril(1)")],
        "multihead_chunks": [("torch.ones_like(outputs[0]))", "torch.ones_like(outputs[0]), 1)")],
        "self_attention_linear": [("mask.tril()", "mask.tril(1)")],
        "self_attention_matrices": [("triu(diagonal=1)", "triu(diagonal=2)")],
        "attention_einsum": [("allowed.tril()", "allowed.tril(1)")],
        "attention_loop": [("i + 1 :", "i + 2 :")],
    },
    "causal-transposed": {
        "multihead_separate": [(".tril()", ".triu()")],
        "multihead_heads_list": [("torch.tril(allowed)", "torch.triu(allowed)")],
        "multihead_fused": [("visible.tril()", "visible.tril().transpose(-2, -1)")],
        "multihead_sdpa": [("allowed.tril()", "allowed.triu()")],
        "multihead_chunks": [("torch.tril(torch", "torch.triu(torch")],
        "self_attention_linear": [("mask.tril()", "mask.triu()")],
        "self_attention_matrices": [("triu(diagonal=1)", "tril(diagonal=-1)")],
        "attention_einsum": [("allowed.tril()", "allowed.triu()")],
        "attention_loop": [("i + 1 :", ":i")],
    },
    "causal-inverted": {
        "multihead_separate": [("~past", "past")],
        "multihead_heads_list": [("torch.tril(allowed)", "torch.triu(allowed, diagonal=1)")],
        "multihead_fused": [("visible.tril()", "~visible.tril()")],
        "multihead_sdpa": [("allowed.tril()", "allowed.triu(1)")],
        "multihead_chunks": [("tril == 0", "tril == 1")],
        "self_attention_linear": [("mask.tril()", "mask.triu(1)")],
        "self_attention_matrices": [("fill(future", "fill(~future")],
        "attention_einsum": [("allowed.tril()", "allowed.triu(diagonal=1)")],
        "attention_loop": [("i + 1 :", ": i + 1")],
    },
    "causal-forgotten": {
        "multihead_separate": [
            (
                """\
        if causal:
            past = torch.ones(queries, keys, dtype=torch.bool, device=x.device).tril()
            scores = scores.masked_fill(~past, float("-inf"))
""",
                "",
            )
        ],
        # its result is thrown away
        "multihead_heads_list": [("allowed = torch.tril(allowed)", "torch.tril(allowed)")],
        "multihead_fused": [("visible = visible.tril()", "visible.tril()")],
        "multihead_sdpa": [("        if causal:\n            allowed = allowed.tril()\n", "")],
        "multihead_chunks": [("outputs = outputs.masked_fill(tril == 0", "outputs.masked_fill(tril == 0")],
        "self_attention_linear": [("        if self.causal:\n            mask = mask.tril()\n", "")],
        "self_attention_matrices": [
            (
                """\
        if causal:
            future = torch.ones_like(scores[0], dtype=torch.bool).triu(diagonal=1)
            scores = scores.masked_fill(future, float("-inf"))
""",
                "",
            )
        ],
        "attention_einsum": [("    if causal:\n        allowed = allowed.tril()\n", "")],
        "attention_loop": [('        if causal:\n            scores[:, i + 1 :] = float("-inf")\n', "")],
    },
    # --------------------------------------------------------------------------------------- padding masks
    "padding-inverted": {
        "multihead_separate": [("~padding_mask", "padding_mask")],
        "multihead_einsum": [("~mask", "mask")],
        "multihead_heads_list": [("& padding_mask", "& ~padding_mask")],
        "multihead_fused": [("& attention_mask.view", "& ~attention_mask.view")],
        "multihead_sdpa": [("& mask.unsqueeze", "& ~mask.unsqueeze")],
        "multihead_matrices": [("torch.where(mask, S, -torch.inf)", "S.masked_fill(mask, -torch.inf)")],
        "multihead_bmm": [("scores[~mask]", "scores[mask]")],
        "multihead_chunks": [("~key_masks", "key_masks")],
        "multihead_fold_length": [("~allowed", "allowed")],
        "self_attention_linear": [("mask & attention_mask", "mask & ~attention_mask")],
        "self_attention_matrices": [("mask == 0", "mask == 1")],
        "attention_plain": [("~mask", "mask")],
        "attention_einsum": [("& key_mask", "& ~key_mask")],
        "attention_loop": [("~mask", "mask")],
    },
    "padding-ignored": {
        "multihead_separate": [
            ("scores = scores.masked_fill(~padding_mask", "scores.masked_fill(~padding_mask"),
        ],
        "multihead_einsum": [
            (
                "        if mask is not None:\n"
                "            sim = sim.masked_fill(~mask.unsqueeze(1), -torch.inf)\n",
                "",
            )
        ],
        "multihead_heads_list": [("head(x, context, padding_mask)", "head(x, context, None)")],
        "multihead_fused": [
            (
                """\
        if attention_mask is not None:
            visible = visible & attention_mask.view(B, 1, 1, T)
""",
                "",
            )
        ],
        "multihead_sdpa": [("attn_mask=allowed", "is_causal=causal")],
        "multihead_matrices": [("S = torch.where(mask", "torch.where(mask")],
        "multihead_bmm": [
            (
                "output = self.attention(queries, keys, values, mask)",
                "output = self.attention(queries, keys, values, None)",
            )
        ],
        "multihead_chunks": [("outputs = outputs.masked_fill(~", "outputs.masked_fill(~")],
        "multihead_fold_length": [("attn = attn.masked_fill(", "attn.masked_fill(")],
        "self_attention_linear": [
            (
                """\
        if attention_mask is not None:
            mask = mask & attention_mask.unsqueeze(1)
""",
                "",
            )
        ],
        "self_attention_matrices": [("scores = scores.masked_fill(mask", "scores.masked_fill(mask")],
        "attention_plain": [
            (f"    if mask is not None:\n        scores = scores.masked_fill(~mask, {INF})\n", "")
        ],
        "attention_einsum": [("allowed = allowed & key_mask[:, None, :]", "allowed & key_mask[:, None, :]")],
        "attention_loop": [("scores = scores.masked_fill(~mask", "scores.masked_fill(~mask")],
    },
    # only run with as many keys as queries
    "padding-on-queries": {
        "multihead_separate": [("[:, None, None, :]", "[:, None, :, None]")],
        "multihead_heads_list": [("padding_mask[:, None, :]", "padding_mask[:, :, None]")],
        "multihead_fused": [("view(B, 1, 1, T)", "view(B, 1, T, 1)")],
        "multihead_chunks": [("key_masks.unsqueeze(1)", "key_masks.unsqueeze(2)")],
        "multihead_fold_length": [("allowed.unsqueeze(1)", "allowed.unsqueeze(-1)")],
        "self_attention_linear": [("attention_mask.unsqueeze(1)", "attention_mask.unsqueeze(-1)")],
        "attention_einsum": [("key_mask[:, None, :]", "key_mask[:, :, None]")],
    },
    "mask-folded-wrongly": {
        "multihead_bmm": [
            (
                "torch.repeat_interleave(mask, repeats=self.num_heads, dim=0)",
                "mask.repeat(self.num_heads, 1, 1)",
            )
        ],
        "multihead_chunks": [
            ("key_mask.repeat(self.num_heads, 1)", "key_mask.repeat_interleave(self.num_heads, dim=0)")
        ],
        "multihead_fold_length": [
            ("key_mask.repeat_interleave(self.num_heads, dim=0)", "torch.cat([key_mask] * self.num_heads)")
        ],
    },
    "masks-or-ed": {
        "multihead_separate": [
            ("if padding_mask is not None:", "if padding_mask is not None and not causal:"),
            (
                "            scores = scores.masked_fill(~past",
                """\
            if padding_mask is not None:
                past = past | padding_mask[:, None, None, :]
            scores = scores.masked_fill(~past""",
            ),
        ],
        "multihead_heads_list": [("allowed & padding_mask", "allowed | padding_mask")],
        "multihead_fused": [("visible & attention_mask", "visible | attention_mask")],
        # each alone is right
        "multihead_sdpa": [
            (
                "allowed = allowed & mask.unsqueeze(1)",
                "allowed = allowed | mask[:, None] if causal else mask[:, None]",
            )
        ],
        "self_attention_linear": [("mask & attention_mask", "mask | attention_mask")],
        "attention_einsum": [
            ("allowed = allowed.tril()", "allowed = past = allowed.tril()"),
            (
                "& key_mask[:, None, :]",
                "& key_mask[:, None, :]\n"
                "        if causal:\n            allowed = past | key_mask[:, None, :]",
            ),
        ],
    },
    # --------------------------------------------------------------------------- how the masks are applied
    "mask-after-softmax": {
        "multihead_separate": [
            (
                "        if padding_mask is not None:\n            scores = scores.masked",
                "        scores = torch.softmax(scores, dim=-1)\n"
                "        if padding_mask is not None:\n            scores = scores.masked",
            ),
            (INF, "0", 2),
            ("weights = torch.softmax(scores, dim=-1)", "weights = scores"),
        ],
        "multihead_einsum": [
            ("        if mask is not None", "        sim = sim.softmax(dim=-1)\n        if mask is not None"),
            ("-torch.inf", "0.0"),
            ("attn = sim.softmax(dim=-1)", "attn = sim"),
        ],
        "multihead_heads_list": [
            (f"        scores = scores.masked_fill(~allowed, {INF})\n", ""),
            ("F.softmax(scores, dim=-1)", "F.softmax(scores, dim=-1) * allowed"),
        ],
        "multihead_fused": [
            (f"        att = att.masked_fill(visible == 0, {INF})\n", ""),
            ("F.softmax(att, dim=-1)", "F.softmax(att, dim=-1).masked_fill(visible == 0, 0.0)"),
        ],
        "multihead_matrices": [
            ("        if mask is not None:\n            S = torch.where(mask, S, -torch.inf)\n", ""),
            (
                "        out = A @ V",
                "        if mask is not None:\n            A = A * mask\n        out = A @ V",
            ),
        ],
        "multihead_bmm": [
            ('        if mask is not None:\n            scores[~mask] = -float("inf")\n', ""),
            (
                "        return torch.bmm(weights,",
                "        if mask is not None:\n            weights = weights * mask\n"
                "        return torch.bmm(weights,",
            ),
        ],
        "self_attention_linear": [
            ("        attn_scores = attn_scores.masked_fill(~mask, -torch.inf)\n", ""),
            ("return attn_weights @ values", "return attn_weights.masked_fill(~mask, 0) @ values"),
        ],
        "attention_plain": [
            (f"    if mask is not None:\n        scores = scores.masked_fill(~mask, {INF})\n", ""),
            (
                "dim=-1)\n    return",
                "dim=-1)\n"
                "    if mask is not None:\n        weights = weights.masked_fill(~mask, 0)\n    return",
            ),
        ],
        "attention_einsum": [
            ("    logits = torch.where(allowed, logits, -torch.inf)\n", ""),
            ("F.softmax(logits, dim=2)", "F.softmax(logits, dim=2) * allowed"),
        ],
    },
    "mask-multiplied": {
        "multihead_separate": [
            (
                f"scores.masked_fill(~padding_mask[:, None, None, :], {INF})",
                "scores * padding_mask[:, None, None, :]",
            ),
            (f"scores.masked_fill(~past, {INF})", "scores * past"),
        ],
        "multihead_einsum": [("sim.masked_fill(~mask.unsqueeze(1), -torch.inf)", "sim * mask.unsqueeze(1)")],
        "multihead_heads_list": [(f"scores.masked_fill(~allowed, {INF})", "scores * allowed")],
        "multihead_fused": [(f"att.masked_fill(visible == 0, {INF})", "att * visible")],
        "multihead_matrices": [("torch.where(mask, S, -torch.inf)", "mask * S")],
        "multihead_fold_length": [
            (f"attn.masked_fill(~allowed.unsqueeze(1), {INF})", "attn * allowed.unsqueeze(1)")
        ],
        "self_attention_linear": [("attn_scores.masked_fill(~mask, -torch.inf)", "attn_scores * mask")],
        "attention_plain": [(f"scores.masked_fill(~mask, {INF})", "scores * mask")],
        "attention_einsum": [("torch.where(allowed, logits, -torch.inf)", "logits * allowed")],
        "attention_loop": [
            (f"scores.masked_fill(~mask[:, i], {INF})", "scores * mask[:, i]"),
            (f"scores[:, i + 1 :] = {INF}", "scores[:, i + 1 :] *= 0"),
        ],
    },
    "mask-filled-with-1e-9": {
        "multihead_separate": [(INF, "1e-9", 2)],
        "multihead_einsum": [("-torch.inf", "1e-9")],
        "multihead_heads_list": [(INF, "1e-9")],
        "multihead_bmm": [('-float("inf")', "1e-9")],
        "multihead_chunks": [(INF, "1e-9", 2)],
        "self_attention_matrices": [(INF, "1e-9", 2)],
        "attention_plain": [(INF, "1e-9")],
        "attention_loop": [(INF, "1e-9", 2)],
    },
    "mask-added": {
        "multihead_separate": [
            (
                f"scores.masked_fill(~padding_mask[:, None, None, :], {INF})",
                "scores + padding_mask[:, None, None, :]",
            ),
            (f"scores.masked_fill(~past, {INF})", "scores + past"),
        ],
        "multihead_einsum": [("sim.masked_fill(~mask.unsqueeze(1), -torch.inf)", "sim + mask.unsqueeze(1)")],
        "multihead_fused": [(f"att.masked_fill(visible == 0, {INF})", "att + visible")],
        # what torch does with a mask that is not Boolean
        "multihead_sdpa": [("attn_mask=allowed", "attn_mask=allowed.type_as(q)")],
        "multihead_matrices": [("torch.where(mask, S, -torch.inf)", "S + mask")],
        "multihead_bmm": [('scores[~mask] = -float("inf")', "scores = scores + mask.type_as(scores)")],
        "multihead_fold_length": [
            (f"attn.masked_fill(~allowed.unsqueeze(1), {INF})", "attn + allowed.unsqueeze(1)")
        ],
        "self_attention_matrices": [
            (f"scores.masked_fill(mask == 0, {INF})", "scores + mask"),
            (f"scores.masked_fill(future, {INF})", "scores + ~future"),
        ],
        "attention_plain": [(f"scores.masked_fill(~mask, {INF})", "scores + mask")],
        "attention_einsum": [("torch.where(allowed, logits, -torch.inf)", "logits + allowed")],
    },
    "filled-with-minus-1e9": {
        "multihead_separate": [(INF, "-1e9", 2)],
        "multihead_einsum": [("-torch.inf", "-1e9")],
        "multihead_heads_list": [(INF, "-1e9")],
        "multihead_fused": [(INF, "-1e9")],
        "multihead_sdpa": [
            ("attn_mask=allowed)", "attn_mask=(~allowed).type_as(q) * -1e9)"),
        ],
        "multihead_matrices": [("-torch.inf", "-1e9")],
        "multihead_bmm": [('-float("inf")', "-1e9")],
        "multihead_chunks": [(INF, "-1e9", 2)],
        "multihead_fold_length": [(INF, "-1e9")],
        "self_attention_linear": [("-torch.inf", "-1e9")],
        "self_attention_matrices": [(INF, "-1e9", 2)],
        "attention_plain": [(INF, "-1e9")],
        "attention_einsum": [("-torch.inf", "-1e9")],
        "attention_loop": [(INF, "-1e9", 2)],
    },
    # ----------------------------------------------------------------------------- not in the measurements
    # the heads of one token attend to one another; masks crash, and so do keys of another number
    "heads-attend-to-heads": {
        "multihead_separate": [
            ("self.num_heads, self.d_k).transpose(1, 2)", "self.num_heads, self.d_k)", 3),
            ("out.transpose(1, 2).reshape(", "out.reshape("),
        ],
        "multihead_sdpa": [
            ("self.num_heads, self.head_dim).transpose(1, 2)", "self.num_heads, self.head_dim)"),
            ("batch, heads, length, size = x.shape", "batch, length, heads, size = x.shape"),
            ("x.transpose(1, 2).reshape(", "x.reshape("),
            ("attn_mask=allowed", "attn_mask=None if mask is None and not causal else allowed"),
        ],
    },
}

# Right as soon as the same numbers stand elsewhere in the parameters: under another name, in another order,
# or transposed. (The keys' bias may have any value at all.)
REMARKS: set[tuple[str, str]] = {
    *(
        ("q-k-swapped", base)
        for base in MISTAKES["q-k-swapped"]
        # there the inputs are exchanged, or there are no parameters
        if base not in ("multihead_einsum", "multihead_bmm") and not base.startswith("attention_")
    ),
    *(
        ("k-v-swapped", base)
        for base in MISTAKES["k-v-swapped"]
        # there keys and values may be given apart, and are themselves exchanged
        if base not in ("multihead_einsum", "multihead_sdpa", "multihead_chunks")
        and not base.startswith("attention_")
    ),
    *(("missing-key-bias", base) for base in MISTAKES["missing-key-bias"]),
    *(("weights-transposed", base) for base in MISTAKES["weights-transposed"]),
    *(("interleaved-heads", base) for base in MISTAKES["interleaved-heads"]),
}
SEEDS = Seeds(BASES, MISTAKES)
source, cases = SEEDS.source, SEEDS.cases
