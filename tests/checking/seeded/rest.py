"""Learners' mistakes in everything but bare attention, put into right implementations.

`bases` holds the right ones, whole files in several styles. A mistake is a list of replacements in the text
of a base, and each text that it replaces occurs there exactly once. `source` makes the wrong file, with one
mistake or with several at once. The slugs name what was seeded, not what the checker has to say about it.
"""

import re
from pathlib import Path

from tests.checking.seeded.edits import Edits, Seeds

BASES = Path(__file__).parent / "bases"
MISTAKES: dict[str, dict[str, Edits]] = {
    # ---------------------------------------------------------------------------------------------- dropout
    "dropout-in-eval": {
        "block_view_heads": [
            (
                "self.dropout(self.feed_forward(self.norm2(x)))",
                "nn.functional.dropout(self.feed_forward(self.norm2(x)), self.dropout.p)",
            )
        ],
        "block_wrapped": [
            ("F.dropout(self.mlp(x), self.p, self.training)", "F.dropout(self.mlp(x), self.p)")
        ],
        "block_add_norm": [("self.dropout(Y)", "nn.functional.dropout(Y, self.dropout.p)")],
        "block_torch_attention": [
            (
                "        x = self.dropout(x)\n        x = self.final_layer_norm",
                "        x = F.dropout(x, self.dropout.p)\n        x = self.final_layer_norm",
            )
        ],
        "decoder_own_attention": [
            (
                "self.dropout(self.feed_forward(h))",
                "torch.dropout(self.feed_forward(h), self.dropout.p, True)",
            )
        ],
        "decoder_torch_attention": [("self.dropout3(tgt2)", "F.dropout(tgt2, p=self.dropout3.p)")],
        "decoder_sublayers": [
            ("p_attn = dropout(p_attn)", "p_attn = nn.functional.dropout(p_attn, dropout.p)")
        ],
        "ff_sequential": [
            ("            nn.Dropout(dropout),\n        )", "        )\n        self.dropout = dropout"),
            ("return self.net(x)", "return nn.functional.dropout(self.net(x), self.dropout)"),
        ],
        "ff_functional": [("F.dropout(h, self.p, training=self.training)", "F.dropout(h, self.p)")],
        "positions_buffer": [("return self.dropout(x)", "return nn.functional.dropout(x, self.dropout.p)")],
        "positions_learned_embedding": [
            ("return self.dropout(x)", "return nn.functional.dropout(x, p=self.dropout.p, training=True)")
        ],
        "classifier_mean_pool": [
            ("        x = self.dropout(x)\n", "        x = nn.functional.dropout(x, self.dropout.p)\n")
        ],
        "classifier_cls_token": [
            ("        x = self.dropout(x)\n", "        x = F.dropout(x, self.dropout.p)\n")
        ],
        "vit_conv": [
            ("        x = self.dropout(x)\n", "        x = nn.functional.dropout(x, p=self.dropout.p)\n")
        ],
        "vit_patchify": [
            ("self.dropout(self.mlp(self.norm2(y)))", "nn.functional.dropout(self.mlp(self.norm2(y)), 0.1)")
        ],
        "seq2seq_caller_shifts": [
            ("return self.dropout(x + table)", "return nn.functional.dropout(x + table, self.dropout.p)")
        ],
        "seq2seq_shifts_inside": [
            (
                "return self.dropout(self.embedding(ids) + self.positions(position_ids))",
                "return F.dropout(self.embedding(ids) + self.positions(position_ids), self.dropout.p)",
            )
        ],
    },
    "no-dropout-in-train": {
        "block_view_heads": [
            ("self.dropout(torch.softmax(scores, dim=-1))", "torch.softmax(scores, dim=-1)"),
            (
                "self.dropout(self.attention(self.norm1(x), key_padding_mask))",
                "self.attention(self.norm1(x), key_padding_mask)",
            ),
            ("self.dropout(self.feed_forward(self.norm2(x)))", "self.feed_forward(self.norm2(x))"),
        ],
        "block_wrapped": [
            ("F.dropout(self.attn(x), self.p, self.training)", "self.attn(x)"),
            ("F.dropout(self.mlp(x), self.p, self.training)", "self.mlp(x)"),
        ],
        "block_add_norm": [("self.dropout(Y)", "Y")],
        "block_torch_attention": [
            ("num_heads, dropout=dropout, batch_first=True", "num_heads, batch_first=True"),
            (
                "        x = self.dropout(x)\n        x = self.self_attn_layer_norm",
                "        x = self.self_attn_layer_norm",
            ),
            (
                "        x = self.dropout(x)\n        x = self.final_layer_norm",
                "        x = self.final_layer_norm",
            ),
        ],
        "decoder_own_attention": [
            ("self.dropout(self.self_attention(h, h, causal))", "self.self_attention(h, h, causal)"),
            (
                "self.dropout(self.cross_attention(h, memory, memory_mask))",
                "self.cross_attention(h, memory, memory_mask)",
            ),
            ("self.dropout(self.feed_forward(h))", "self.feed_forward(h)"),
        ],
        "decoder_torch_attention": [
            ("self.dropout1(tgt2)", "tgt2"),
            ("self.dropout2(tgt2)", "tgt2"),
            ("self.dropout3(tgt2)", "tgt2"),
        ],
        "decoder_sublayers": [
            ("mask=mask, dropout=self.dropout)", "mask=mask)"),
            ("self.dropout(sublayer(x))", "sublayer(x)"),
        ],
        "ff_sequential": [
            ("            nn.Dropout(dropout),\n            nn.Linear", "            nn.Linear"),
            ("            nn.Dropout(dropout),\n        )", "        )"),
        ],
        "ff_functional": [("training=self.training", "training=False")],
        "positions_buffer": [("return self.dropout(x)", "return x")],
        "positions_learned_embedding": [
            ("        x = x + self.position", "        y = x + self.position"),
            ("        return self.dropout(x)", "        self.dropout(y)\n        return y"),
        ],
        "classifier_mean_pool": [
            ("        x = x + self.dropout(h)\n", "        x = x + h\n"),
            ("return x + self.dropout(h)", "return x + h"),
            ("        x = self.dropout(x)\n", ""),
        ],
        "classifier_cls_token": [
            ("self.dropout(self.attention(x, padding))", "self.attention(x, padding)"),
            ("self.dropout(y)", "y"),
            ("        x = self.dropout(x)\n", ""),
        ],
        "vit_patchify": [
            ("self.dropout(self.attention(self.norm1(x)))", "self.attention(self.norm1(x))"),
            ("self.dropout(self.mlp(self.norm2(y)))", "self.mlp(self.norm2(y))"),
        ],
        "vit_conv": [
            ("            nn.Dropout(dropout),\n            nn.Linear", "            nn.Linear"),
            ("            nn.Dropout(dropout),\n        )", "        )"),
            ("        x = self.dropout(x)\n", ""),
        ],
        "seq2seq_caller_shifts": [("return self.dropout(x + table)", "return x + table")],
    },
    # ----------------------------------------------------------------------------------------------- layers
    "layers-shared": {
        "block_add_norm": [
            (
                "nn.ModuleList(Head(num_hiddens, num_hiddens // num_heads) for _ in range(num_heads))",
                "nn.ModuleList([Head(num_hiddens, num_hiddens // num_heads)] * num_heads)",
            )
        ],
        "classifier_mean_pool": [
            (
                "nn.ModuleList([EncoderBlock(dim, heads, hidden, dropout) for _ in range(depth)])",
                "nn.ModuleList([EncoderBlock(dim, heads, hidden, dropout)] * depth)",
            )
        ],
        "classifier_cls_token": [
            (
                "        for _ in range(num_layers):\n"
                "            self.layers.append(Layer(hidden_size, num_heads, intermediate_size, p))",
                "        layer = Layer(hidden_size, num_heads, intermediate_size, p)\n"
                "        for _ in range(num_layers):\n"
                "            self.layers.append(layer)",
            )
        ],
        "vit_conv": [
            (
                "[AttentionBlock(embed_dim, num_heads, hidden_dim, dropout) for _ in range(num_layers)]",
                "num_layers * [AttentionBlock(embed_dim, num_heads, hidden_dim, dropout)]",
            )
        ],
        "vit_patchify": [
            (
                "blocks = [TransformerBlock(dim, heads, mlp_dim, dropout) for _ in range(depth)]",
                "block = TransformerBlock(dim, heads, mlp_dim, dropout)\n"
                "        blocks = [block for _ in range(depth)]",
            )
        ],
        "seq2seq_caller_shifts": [
            (
                "[EncoderLayer(dim, heads, d_ff) for _ in range(layers)]",
                "[EncoderLayer(dim, heads, d_ff)] * layers",
            )
        ],
        "seq2seq_shifts_inside": [
            (
                "        for _ in range(num_layers):\n"
                "            self.decoder.append(DecoderLayer(d_model, nhead, d_ff, dropout))",
                "        layer = DecoderLayer(d_model, nhead, d_ff, dropout)\n"
                "        for _ in range(num_layers):\n"
                "            self.decoder.append(layer)",
            )
        ],
    },
    "layers-in-list": {
        "block_add_norm": [
            (
                "nn.ModuleList(Head(num_hiddens, num_hiddens // num_heads) for _ in range(num_heads))",
                "[Head(num_hiddens, num_hiddens // num_heads) for _ in range(num_heads)]",
            )
        ],
        "decoder_sublayers": [
            (
                "nn.ModuleList([nn.Linear(d_model, d_model) for _ in range(4)])",
                "[nn.Linear(d_model, d_model) for _ in range(4)]",
            )
        ],
        "classifier_mean_pool": [
            (
                "nn.ModuleList([EncoderBlock(dim, heads, hidden, dropout) for _ in range(depth)])",
                "[EncoderBlock(dim, heads, hidden, dropout) for _ in range(depth)]",
            )
        ],
        "classifier_cls_token": [("self.layers = nn.ModuleList()", "self.layers = []")],
        "vit_conv": [
            (
                "nn.ModuleList(\n"
                "            [AttentionBlock(embed_dim, num_heads, hidden_dim, dropout)"
                " for _ in range(num_layers)]\n"
                "        )",
                "[\n"
                "            AttentionBlock(embed_dim, num_heads, hidden_dim, dropout)\n"
                "            for _ in range(num_layers)\n"
                "        ]",
            )
        ],
        "vit_patchify": [("self.blocks = nn.ModuleList(blocks)", "self.blocks = blocks")],
        "seq2seq_caller_shifts": [
            (
                "nn.ModuleList([DecoderLayer(dim, heads, d_ff) for _ in range(layers)])",
                "[DecoderLayer(dim, heads, d_ff) for _ in range(layers)]",
            )
        ],
        "seq2seq_shifts_inside": [("self.decoder = nn.ModuleList()", "self.decoder = []")],
    },
    "layers-copied": {
        "decoder_sublayers": [
            ("import math\n\nimport torch", "import copy\nimport math\n\nimport torch"),
            (
                "nn.ModuleList([nn.Linear(d_model, d_model) for _ in range(4)])",
                "clones(nn.Linear(d_model, d_model), 4)",
            ),
            (
                "class MultiHeadedAttention(nn.Module):",
                "def clones(module, N):\n"
                "    return nn.ModuleList([copy.deepcopy(module) for _ in range(N)])\n\n\n"
                "class MultiHeadedAttention(nn.Module):",
            ),
        ],
        "classifier_mean_pool": [
            ("import math\n\nimport torch", "import copy\nimport math\n\nimport torch"),
            (
                "self.blocks = nn.ModuleList("
                "[EncoderBlock(dim, heads, hidden, dropout) for _ in range(depth)])",
                "block = EncoderBlock(dim, heads, hidden, dropout)\n"
                "        self.blocks = nn.ModuleList([copy.deepcopy(block) for _ in range(depth)])",
            ),
        ],
        "classifier_cls_token": [
            (
                "import torch\nimport torch.nn as nn",
                "from copy import deepcopy\n\nimport torch\nimport torch.nn as nn",
            ),
            (
                "        for _ in range(num_layers):\n"
                "            self.layers.append(Layer(hidden_size, num_heads, intermediate_size, p))",
                "        layer = Layer(hidden_size, num_heads, intermediate_size, p)\n"
                "        for _ in range(num_layers):\n"
                "            self.layers.append(deepcopy(layer))",
            ),
        ],
        "vit_conv": [
            ("import torch\nimport torch.nn as nn", "import copy\n\nimport torch\nimport torch.nn as nn"),
            (
                "        self.transformer = nn.ModuleList(\n"
                "            [AttentionBlock(embed_dim, num_heads, hidden_dim, dropout)"
                " for _ in range(num_layers)]\n"
                "        )",
                "        block = AttentionBlock(embed_dim, num_heads, hidden_dim, dropout)\n"
                "        self.transformer = nn.ModuleList([copy.deepcopy(block) for _ in range(num_layers)])",
            ),
        ],
        "vit_patchify": [
            ("import torch\nfrom torch import", "import copy\n\nimport torch\nfrom torch import"),
            (
                "blocks = [TransformerBlock(dim, heads, mlp_dim, dropout) for _ in range(depth)]",
                "blocks = [TransformerBlock(dim, heads, mlp_dim, dropout)]\n"
                "        for _ in range(depth - 1):\n"
                "            blocks.append(copy.deepcopy(blocks[0]))",
            ),
        ],
        "seq2seq_caller_shifts": [
            ("import math\n\nimport torch", "import copy\nimport math\n\nimport torch"),
            (
                "self.decoder = nn.ModuleList([DecoderLayer(dim, heads, d_ff) for _ in range(layers)])",
                "decoder_layer = DecoderLayer(dim, heads, d_ff)\n"
                "        self.decoder = nn.ModuleList(copy.deepcopy(decoder_layer) for _ in range(layers))",
            ),
        ],
    },
    # ---------------------------------------------------------------------------- norms and residuals: order
    "post-norm-for-pre-norm": {
        "block_view_heads": [
            (
                "x + self.dropout(self.attention(self.norm1(x), key_padding_mask))",
                "self.norm1(x + self.dropout(self.attention(x, key_padding_mask)))",
            ),
            (
                "x + self.dropout(self.feed_forward(self.norm2(x)))",
                "self.norm2(x + self.dropout(self.feed_forward(x)))",
            ),
        ],
        "block_wrapped": [
            (
                "return self.fn(self.norm(x))",
                "return self.norm(F.dropout(self.fn(x), 0.1, self.training) + x)",
            ),
            ("F.dropout(self.attn(x), self.p, self.training) + x", "self.attn(x)"),
            ("F.dropout(self.mlp(x), self.p, self.training) + x", "self.mlp(x)"),
        ],
        "decoder_own_attention": [
            (
                "        h = self.norm1(x)\n        x = x + self.dropout(self.self_attention(h, h, causal))",
                "        x = self.norm1(x + self.dropout(self.self_attention(x, x, causal)))",
            ),
            (
                "        h = self.norm2(x)\n"
                "        x = x + self.dropout(self.cross_attention(h, memory, memory_mask))",
                "        x = self.norm2(x + self.dropout(self.cross_attention(x, memory, memory_mask)))",
            ),
            (
                "        h = self.norm3(x)\n        x = x + self.dropout(self.feed_forward(h))",
                "        x = self.norm3(x + self.dropout(self.feed_forward(x)))",
            ),
        ],
        "classifier_mean_pool": [
            ("self.attend(self.norm_attention(x), real)", "self.attend(x, real)"),
            ("        x = x + self.dropout(h)\n", "        x = self.norm_attention(x + self.dropout(h))\n"),
            ("self.ff(self.norm_ff(x))", "self.ff(x)"),
            ("return x + self.dropout(h)", "return self.norm_ff(x + self.dropout(h))"),
        ],
        "vit_conv": [
            (
                "        inp_x = self.layer_norm_1(x)\n        x = x + self.attn(inp_x, inp_x, inp_x)[0]",
                "        x = self.layer_norm_1(x + self.attn(x, x, x)[0])",
            ),
            ("x + self.linear(self.layer_norm_2(x))", "self.layer_norm_2(x + self.linear(x))"),
        ],
        "vit_patchify": [
            (
                "y = x + self.dropout(self.attention(self.norm1(x)))",
                "y = self.norm1(x + self.dropout(self.attention(x)))",
            ),
            (
                "return y + self.dropout(self.mlp(self.norm2(y)))",
                "return self.norm2(y + self.dropout(self.mlp(y)))",
            ),
        ],
        "seq2seq_caller_shifts": [
            (
                "        h = self.norm1(x)\n        x = x + self.attention(h, h, src_mask)",
                "        x = self.norm1(x + self.attention(x, x, src_mask))",
            ),
            ("return x + self.ff(self.norm2(x))", "return self.norm2(x + self.ff(x))"),
        ],
    },
    "pre-norm-for-post-norm": {
        "block_add_norm": [
            ("def forward(self, X, Y):", "def forward(self, X, sublayer):"),
            ("return self.ln(self.dropout(Y) + X)", "return X + self.dropout(sublayer(self.ln(X)))"),
            ("self.addnorm1(X, self.attention(X))", "self.addnorm1(X, self.attention)"),
            ("self.addnorm2(Y, self.ffn(Y))", "self.addnorm2(Y, self.ffn)"),
        ],
        "block_torch_attention": [
            (
                "        x, _ = self.self_attn",
                "        x = self.self_attn_layer_norm(x)\n        x, _ = self.self_attn",
            ),
            ("self.self_attn_layer_norm(residual + x)", "residual + x"),
            ("        x = self.fc2(", "        x = self.final_layer_norm(x)\n        x = self.fc2("),
            ("self.final_layer_norm(residual + x)", "residual + x"),
        ],
        "decoder_torch_attention": [
            (
                "        tgt2 = self.self_attn(tgt, tgt, tgt, attn",
                "        tgt2 = self.norm1(tgt)\n        tgt2 = self.self_attn(tgt2, tgt2, tgt2, attn",
            ),
            ("        tgt = self.norm1(tgt)\n", ""),
            (
                "self.multihead_attn(tgt, memory, memory",
                "self.multihead_attn(self.norm2(tgt), memory, memory",
            ),
            ("        tgt = self.norm2(tgt)\n", ""),
            ("self.linear1(tgt)", "self.linear1(self.norm3(tgt))"),
            ("        tgt = self.norm3(tgt)\n", ""),
        ],
        "decoder_sublayers": [
            ("self.norm(x + self.dropout(sublayer(x)))", "x + self.dropout(sublayer(self.norm(x)))")
        ],
        "classifier_cls_token": [
            (
                "self.norm1(x + self.dropout(self.attention(x, padding)))",
                "x + self.dropout(self.attention(self.norm1(x), padding))",
            ),
            ("self.intermediate(x)", "self.intermediate(self.norm2(x))"),
            ("self.norm2(x + self.dropout(y))", "x + self.dropout(y)"),
        ],
        "seq2seq_shifts_inside": [
            (
                "        a, _ = self.self_attn(src, src, src,",
                "        h = self.norm1(src)\n        a, _ = self.self_attn(h, h, h,",
            ),
            ("self.norm1(src + self.dropout(a))", "src + self.dropout(a)"),
            ("f = self.ffn(src)", "f = self.ffn(self.norm2(src))"),
            ("self.norm2(src + self.dropout(f))", "src + self.dropout(f)"),
        ],
    },
    "norm-before-addition": {
        "block_add_norm": [("self.ln(self.dropout(Y) + X)", "self.ln(self.dropout(Y)) + X")],
        "block_torch_attention": [
            ("self.self_attn_layer_norm(residual + x)", "residual + self.self_attn_layer_norm(x)"),
            ("self.final_layer_norm(residual + x)", "residual + self.final_layer_norm(x)"),
        ],
        "block_wrapped": [("self.fn(self.norm(x))", "self.norm(self.fn(x))")],
        "decoder_sublayers": [
            ("self.norm(x + self.dropout(sublayer(x)))", "x + self.norm(self.dropout(sublayer(x)))")
        ],
        "classifier_cls_token": [
            (
                "self.norm1(x + self.dropout(self.attention(x, padding)))",
                "x + self.norm1(self.dropout(self.attention(x, padding)))",
            ),
            ("self.norm2(x + self.dropout(y))", "x + self.norm2(self.dropout(y))"),
        ],
    },
    "residual-after-norm": {
        "block_view_heads": [
            (
                "        x = x + self.dropout(self.attention(self.norm1(x), key",
                "        x = self.norm1(x)\n        x = x + self.dropout(self.attention(x, key",
            ),
            (
                "        x = x + self.dropout(self.feed_forward(self.norm2(x)))",
                "        x = self.norm2(x)\n        x = x + self.dropout(self.feed_forward(x))",
            ),
        ],
        "block_wrapped": [
            (
                "return self.fn(self.norm(x))",
                "x = self.norm(x)\n        return F.dropout(self.fn(x), 0.1, self.training) + x",
            ),
            ("F.dropout(self.attn(x), self.p, self.training) + x", "self.attn(x)"),
            ("F.dropout(self.mlp(x), self.p, self.training) + x", "self.mlp(x)"),
        ],
        "decoder_own_attention": [
            ("x = x + self.dropout(self.self", "x = h + self.dropout(self.self"),
            ("x = x + self.dropout(self.cross", "x = h + self.dropout(self.cross"),
            ("x = x + self.dropout(self.feed", "x = h + self.dropout(self.feed"),
        ],
        "classifier_mean_pool": [
            (
                "        h = self.attend(self.norm_attention(x), real)",
                "        x = self.norm_attention(x)\n        h = self.attend(x, real)",
            ),
            ("        h = self.ff(self.norm_ff(x))", "        x = self.norm_ff(x)\n        h = self.ff(x)"),
        ],
        "vit_conv": [("x = x + self.attn(inp_x", "x = inp_x + self.attn(inp_x")],
        "vit_patchify": [
            (
                "return y + self.dropout(self.mlp(self.norm2(y)))",
                "y = self.norm2(y)\n        return y + self.dropout(self.mlp(y))",
            )
        ],
        "seq2seq_caller_shifts": [
            ("y = y + self.attention(h", "y = h + self.attention(h"),
            ("y = y + self.cross_attention(h", "y = h + self.cross_attention(h"),
            ("return y + self.ff(h)", "return h + self.ff(h)"),
        ],
    },
    "residual-missing": {
        "block_view_heads": [
            ("x = x + self.dropout(self.attention(self.norm1", "x = self.dropout(self.attention(self.norm1")
        ],
        "block_wrapped": [
            (
                "F.dropout(self.mlp(x), self.p, self.training) + x",
                "F.dropout(self.mlp(x), self.p, self.training)",
            )
        ],
        "block_add_norm": [("self.ln(self.dropout(Y) + X)", "self.ln(self.dropout(Y))")],
        "block_torch_attention": [("self.final_layer_norm(residual + x)", "self.final_layer_norm(x)")],
        "decoder_own_attention": [("x = x + self.dropout(self.cross", "x = self.dropout(self.cross")],
        "decoder_torch_attention": [("tgt = tgt + self.dropout1(tgt2)", "tgt = self.dropout1(tgt2)")],
        "decoder_sublayers": [
            ("self.norm(x + self.dropout(sublayer(x)))", "self.norm(self.dropout(sublayer(x)))")
        ],
        "classifier_mean_pool": [("return x + self.dropout(h)", "return self.dropout(h)")],
        "classifier_cls_token": [("self.norm1(x + self.dropout(", "self.norm1(self.dropout(")],
        "vit_conv": [("x = x + self.linear(", "x = self.linear(")],
        "vit_patchify": [("y = x + self.dropout(self.attention", "y = self.dropout(self.attention")],
        "seq2seq_caller_shifts": [("y = y + self.cross_attention(", "y = self.cross_attention(")],
        "seq2seq_shifts_inside": [("self.norm3(tgt + self.dropout(f))", "self.norm3(self.dropout(f))")],
    },
    "residual-from-input": {
        "block_view_heads": [
            (
                "x = x + self.dropout(self.attention(self.norm1",
                "y = x + self.dropout(self.attention(self.norm1",
            ),
            ("self.feed_forward(self.norm2(x))", "self.feed_forward(self.norm2(y))"),
        ],
        "block_wrapped": [
            ("x = F.dropout(self.attn(x)", "y = F.dropout(self.attn(x)"),
            ("F.dropout(self.mlp(x)", "F.dropout(self.mlp(y)"),
        ],
        "block_add_norm": [("self.addnorm2(Y, self.ffn(Y))", "self.addnorm2(X, self.ffn(Y))")],
        "block_torch_attention": [("        residual = x\n        x = self.fc2", "        x = self.fc2")],
        "decoder_own_attention": [
            ("length = x.size(1)", "length, residual = x.size(1), x"),
            ("x = x + self.dropout(self.feed", "x = residual + self.dropout(self.feed"),
        ],
        "decoder_torch_attention": [
            ("n = tgt.shape[1]", "n = tgt.shape[1]\n        residual = tgt"),
            ("tgt = tgt + self.dropout2(tgt2)", "tgt = residual + self.dropout2(tgt2)"),
        ],
        "classifier_mean_pool": [
            ("        x = x + self.dropout(h)\n", "        y = x + self.dropout(h)\n"),
            ("self.ff(self.norm_ff(x))", "self.ff(self.norm_ff(y))"),
        ],
        "classifier_cls_token": [
            ("        x = self.norm1(x + self.dropout", "        h = self.norm1(x + self.dropout"),
            ("self.intermediate(x)", "self.intermediate(h)"),
        ],
        "vit_conv": [
            ("x = x + self.attn(inp_x", "y = x + self.attn(inp_x"),
            ("self.linear(self.layer_norm_2(x))", "self.linear(self.layer_norm_2(y))"),
        ],
        "vit_patchify": [("return y + self.dropout(self.mlp", "return x + self.dropout(self.mlp")],
        "seq2seq_caller_shifts": [
            ("x = x + self.attention(h, h, src_mask)", "y = x + self.attention(h, h, src_mask)"),
            ("self.ff(self.norm2(x))", "self.ff(self.norm2(y))"),
        ],
        "seq2seq_shifts_inside": [
            ("src = self.norm1(src + self.dropout(a))", "h = self.norm1(src + self.dropout(a))"),
            ("f = self.ffn(src)", "f = self.ffn(h)"),
        ],
    },
    "norms-swapped": {
        "block_view_heads": [("self.norm1(x)", "self.norm2(x)"), ("self.norm2(x)", "self.norm1(x)")],
        "block_add_norm": [
            ("Y = self.addnorm1(X", "Y = self.addnorm2(X"),
            ("return self.addnorm2(Y", "return self.addnorm1(Y"),
        ],
        "block_torch_attention": [
            ("x = self.self_attn_layer_norm(", "x = self.final_layer_norm("),
            ("x = self.final_layer_norm(", "x = self.self_attn_layer_norm("),
        ],
        "decoder_own_attention": [("self.norm1(x)", "self.norm2(x)"), ("self.norm2(x)", "self.norm1(x)")],
        "decoder_torch_attention": [
            ("self.norm2(tgt)", "self.norm3(tgt)"),
            ("self.norm3(tgt)", "self.norm2(tgt)"),
        ],
        "classifier_mean_pool": [
            ("self.norm_attention(x)", "self.norm_ff(x)"),
            ("self.norm_ff(x)", "self.norm_attention(x)"),
        ],
        "vit_patchify": [("self.norm1(x)", "self.norm2(x)"), ("self.norm2(y)", "self.norm1(y)")],
    },
    "norm-shared": {
        "block_view_heads": [("self.norm2 = nn.LayerNorm(d_model)", "self.norm2 = self.norm1")],
        "block_wrapped": [
            ("def __init__(self, dim, fn):", "def __init__(self, norm, fn):"),
            ("self.norm = nn.LayerNorm(dim)", "self.norm = norm"),
            ("self.p = dropout", "self.p = dropout\n        norm = nn.LayerNorm(dim)"),
            ("PreNorm(dim, Attention", "PreNorm(norm, Attention"),
            ("PreNorm(dim, FeedForward", "PreNorm(norm, FeedForward"),
        ],
        "block_add_norm": [
            ("        self.addnorm2 = AddNorm(num_hiddens, dropout)\n", ""),
            ("return self.addnorm2(Y", "return self.addnorm1(Y"),
        ],
        "block_torch_attention": [("x = self.final_layer_norm(", "x = self.self_attn_layer_norm(")],
        "decoder_own_attention": [("self.norm3(x)", "self.norm2(x)")],
        "decoder_torch_attention": [
            ("self.norm2(tgt)", "self.norm1(tgt)"),
            ("self.norm3(tgt)", "self.norm1(tgt)"),
        ],
        "decoder_sublayers": [
            (
                "nn.ModuleList([SublayerConnection(size, dropout) for _ in range(3)])",
                "SublayerConnection(size, dropout)",
            ),
            ("self.sublayer[0](", "self.sublayer("),
            ("self.sublayer[1](", "self.sublayer("),
            ("self.sublayer[2](", "self.sublayer("),
        ],
        "classifier_mean_pool": [("self.norm_ff(x)", "self.norm_attention(x)")],
        "vit_conv": [("self.layer_norm_2(x)", "self.layer_norm_1(x)")],
        "vit_patchify": [
            ("        self.norm2 = nn.LayerNorm(dim)\n", ""),
            ("self.norm2(y)", "self.norm1(y)"),
        ],
    },
    # ------------------------------------------------------------------------------------------ layer norm
    "norm-over-wrong-axis": {
        "norm_module": [
            ("x.mean(dim=-1, keepdim=True)", "x.mean(dim=1, keepdim=True)"),
            ("x.var(dim=-1, keepdim=True", "x.var(dim=1, keepdim=True"),
        ],
        "norm_function": [
            ("x.mean(-1, keepdim=True)", "x.mean((-2, -1), keepdim=True)"),
            ("(centred**2).mean(-1, keepdim=True)", "(centred**2).mean((-2, -1), keepdim=True)"),
        ],
        "norm_moments": [
            ("n = self.features", "n = x.shape[0]"),
            ("x.sum(dim=-1, keepdim=True)", "x.sum(dim=0, keepdim=True)"),
            ("square().sum(dim=-1, keepdim=True)", "square().sum(dim=0, keepdim=True)"),
        ],
        "vit_conv": [
            ("self.norm = nn.LayerNorm(embed_dim)", "self.norm = nn.LayerNorm([1 + num_patches, embed_dim])")
        ],
        "vit_patchify": [("self.norm = nn.LayerNorm(dim)", "self.norm = nn.LayerNorm((patches + 1, dim))")],
    },
    "unbiased-variance": {
        "norm_module": [(", unbiased=False", "")],
        "norm_function": [("(centred**2).mean(-1, keepdim=True)", "x.var(-1, keepdim=True)")],
        "norm_moments": [("second / n", "second / (n - 1)")],
    },
    "eps-outside-root": {
        "norm_module": [("torch.sqrt(var + self.eps)", "(torch.sqrt(var) + self.eps)")],
        "norm_function": [("centred * (sigma2 + eps).rsqrt()", "centred / (sigma2.sqrt() + eps)")],
        "norm_moments": [("torch.sqrt(second / n + 1e-5)", "torch.sqrt(second / n) + 1e-5")],
    },
    "other-eps": {
        "norm_module": [("eps: float = 1e-5", "eps: float = 1e-6")],
        "norm_function": [("bias, eps=1e-5", "bias, eps=1e-8")],
        "norm_moments": [("second / n + 1e-5", "second / n + 1e-3")],
    },
    # ------------------------------------------------------------------------------------------ activation
    "wrong-activation": {
        "block_view_heads": [("nn.GELU()", 'nn.GELU(approximate="tanh")')],
        "block_wrapped": [("F.gelu(", "F.relu(")],
        "block_add_norm": [("nn.GELU()", "nn.ReLU()")],
        "block_torch_attention": [("F.gelu(self.fc1(x))", 'F.gelu(self.fc1(x), approximate="tanh")')],
        "decoder_own_attention": [("nn.GELU()", "nn.ReLU()")],
        "decoder_torch_attention": [("F.relu(", "F.gelu(")],
        "decoder_sublayers": [("nn.ReLU()", "nn.GELU()")],
        "ff_sequential": [("nn.GELU()", 'nn.GELU("tanh")')],
        "ff_functional": [("F.relu(", "F.gelu(")],
        "classifier_mean_pool": [("nn.GELU()", "nn.ReLU()")],
        "classifier_cls_token": [
            ("F.gelu(self.intermediate(x))", 'F.gelu(self.intermediate(x), approximate="tanh")')
        ],
        "vit_conv": [("nn.GELU()", "nn.ReLU()")],
        "vit_patchify": [("nn.GELU()", 'nn.GELU(approximate="tanh")')],
        "seq2seq_caller_shifts": [
            (
                "        self.attention = Attention(dim, heads)\n"
                "        self.ff = nn.Sequential(nn.Linear(dim, d_ff), nn.GELU()",
                "        self.attention = Attention(dim, heads)\n"
                "        self.ff = nn.Sequential(nn.Linear(dim, d_ff), nn.ReLU()",
            )
        ],
    },
    # ------------------------------------------------------------------------------------------- positions
    "sinusoid-exponent-doubled": {
        "positions_table": [("torch.exp(two_i * (", "torch.exp(2 * two_i * (")],
        "positions_buffer": [
            (
                "torch.arange(0, d_model, 2).double() / d_model",
                "2 * torch.arange(0, d_model, 2).double() / d_model",
            )
        ],
        "positions_broadcast": [("((j - j % 2).to(x.dtype) / dim)", "(2 * (j - j % 2).to(x.dtype) / dim)")],
        "positions_loop": [("n ** (i / d_model)", "n ** (2 * i / d_model)")],
        "classifier_mean_pool": [("(two_i / dim)", "(2 * two_i / dim)")],
        "seq2seq_caller_shifts": [
            ("-math.log(10000.0) * even / self.dim", "-math.log(10000.0) * 2 * even / self.dim")
        ],
    },
    "sinusoid-exponent-unpaired": {
        "positions_broadcast": [("((j - j % 2).to(x.dtype) / dim)", "(j.to(x.dtype) / dim)")],
        "positions_loop": [
            ("P[k, i + 1] = math.cos(theta)", "P[k, i + 1] = math.cos(k / n ** ((i + 1) / d_model))")
        ],
        "positions_table": [
            (
                "torch.cos(position * div_term[: d_model // 2])",
                "torch.cos(position / (10000.0 ** ((two_i + 1) / d_model))[: d_model // 2])",
            )
        ],
    },
    "sines-concatenated": {
        "positions_table": [
            ("pe[:, 0::2] = ", "pe[:, : (d_model + 1) // 2] = "),
            ("pe[:, 1::2] = ", "pe[:, (d_model + 1) // 2 :] = "),
        ],
        "positions_buffer": [
            (
                "torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d_model]",
                "torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :d_model]",
            )
        ],
        "positions_broadcast": [
            ("((j - j % 2).to(x.dtype) / dim)", "(2 * (j % half).to(x.dtype) / dim)"),
            (
                "j = torch.arange(dim, device=x.device)",
                "j, half = torch.arange(dim, device=x.device), (dim + 1) // 2",
            ),
            ("torch.where(j % 2 == 0,", "torch.where(j < half,"),
        ],
        "positions_loop": [
            ("P[k, i] = ", "P[k, i // 2] = "),
            ("P[k, i + 1] = ", "P[k, (d_model + 1) // 2 + i // 2] = "),
        ],
        "classifier_mean_pool": [
            ("table[:, 0::2] = ", "table[:, : (dim + 1) // 2] = "),
            ("table[:, 1::2] = ", "table[:, (dim + 1) // 2 :] = "),
        ],
        "seq2seq_caller_shifts": [
            (
                "torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, : self.dim]",
                "torch.cat((angle.sin(), angle.cos()), dim=-1)[:, : self.dim]",
            )
        ],
    },
    "positions-start-at-1": {
        "positions_table": [("torch.arange(max_len, dtype", "torch.arange(1, max_len + 1, dtype")],
        "positions_buffer": [("torch.arange(0, max_len)", "torch.arange(1, max_len + 1)")],
        "positions_broadcast": [("torch.arange(length, dtype", "torch.arange(1, length + 1, dtype")],
        "positions_loop": [("theta = k / n", "theta = (k + 1) / n")],
        "positions_learned_embedding": [
            ("torch.arange(x.size(1), device", "torch.arange(1, x.size(1) + 1, device")
        ],
        "positions_learned_parameter": [("self.pos[:n]", "self.pos[1 : n + 1]")],
        "classifier_mean_pool": [
            (
                "torch.arange(length, dtype=torch.float64)[:, None]",
                "torch.arange(1, length + 1, dtype=torch.float64)[:, None]",
            )
        ],
        "classifier_cls_token": [
            ("torch.arange(x.shape[1], device", "torch.arange(1, x.shape[1] + 1, device")
        ],
        "seq2seq_caller_shifts": [
            (
                "torch.arange(ids.shape[1], device=x.device, dtype=x.dtype)",
                "torch.arange(1, ids.shape[1] + 1).to(x)",
            )
        ],
        "seq2seq_shifts_inside": [
            ("torch.arange(ids.size(1), device", "torch.arange(1, ids.size(1) + 1, device")
        ],
    },
    "positions-odd-width": {
        "positions_table": [("position * div_term[: d_model // 2]", "position * div_term")],
        "positions_buffer": [(".flatten(1)[:, :d_model]", ".flatten(1)")],
        "positions_broadcast": [
            ("j = torch.arange(dim, device=x.device)", "j = torch.arange(0, dim, 2, device=x.device)"),
            ("((j - j % 2).to(x.dtype) / dim)", "(j.to(x.dtype) / dim)"),
            (
                "torch.where(j % 2 == 0, angle.sin(), angle.cos())",
                "torch.stack((angle.sin(), angle.cos()), -1).flatten(1)",
            ),
        ],
        "positions_loop": [
            (
                "            if i + 1 < d_model:\n                P[k, i + 1] = math.cos(theta)",
                "            P[k, i + 1] = math.cos(theta)",
            )
        ],
        "classifier_mean_pool": [("angles.cos()[:, : dim // 2]", "angles.cos()")],
        "seq2seq_caller_shifts": [(".flatten(1)[:, : self.dim]", ".flatten(1)")],
    },
    "positions-length-first": {
        "positions_buffer": [
            ("pe.float().unsqueeze(0)", "pe.float().unsqueeze(1)"),
            ("self.pe[:, : x.size(1)]", "self.pe[: x.size(0)]"),
        ],
        "positions_broadcast": [
            ("length, dim = x.shape[1], x.shape[2]", "length, dim = x.shape[0], x.shape[2]"),
            ("device=x.device)[:, None]", "device=x.device)[:, None, None]"),
        ],
        "positions_learned_embedding": [
            ("torch.arange(x.size(1), device", "torch.arange(x.size(0), device"),
            (".unsqueeze(0)", ".unsqueeze(1)"),
        ],
        "positions_learned_parameter": [
            ("n = tokens.shape[1]", "n = tokens.shape[0]"),
            ("self.pos[:n]", "self.pos[:n, None]"),
        ],
        "classifier_mean_pool": [
            ("self.positions[: ids.shape[1]]", "self.positions[: x.shape[0]].unsqueeze(1)")
        ],
    },
    # --------------------------------------------------------------------------------------------- patches
    "patchify-by-view": {
        "patch_permute": [
            (
                "    x = images.reshape(b, c, h // p, p, w // p, p)\n"
                "    x = x.permute(0, 2, 4, 1, 3, 5)\n"
                "    return x.reshape(",
                "    return images.reshape(",
            )
        ],
        "patch_unfold": [("    patches = patches.permute(0, 2, 3, 1, 4, 5)\n", "")],
        "patch_einops": [
            (
                'rearrange(img, "b c (h p1) (w p2) -> b (h w) (c p1 p2)", p1=p, p2=p)',
                'rearrange(img, "b c h w -> b (c h w)").reshape(len(img), -1, img.shape[1] * p * p)',
            )
        ],
        "patch_loops": [
            (
                "    for i in range(h // size):\n        for j in range(w // size):\n",
                "    images, area = images.flatten(1), images.shape[1] * size * size\n"
                "    for i in range(h // size):\n        for j in range(w // size):\n"
                "            start = (i * (w // size) + j) * area\n",
            ),
            (
                "images[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]",
                "images[:, start : start + area]",
            ),
        ],
        "patch_embedding_conv": [
            ("x.flatten(2).transpose(1, 2)", "x.reshape(x.shape[0], -1, self.embed_dim)")
        ],
        "patch_embedding_linear": [
            ("columns.transpose(1, 2)", "columns.reshape(columns.shape[0], -1, columns.shape[1])")
        ],
        "vit_conv": [("x.flatten(2).transpose(1, 2)", "x.reshape(x.shape[0], -1, x.shape[1])")],
        "vit_patchify": [
            (
                "    x = images.view(b, c, h // p, p, w // p, p)\n"
                "    x = x.permute(0, 2, 4, 3, 5, 1)\n"
                "    return x.reshape(b, -1,",
                "    return images.reshape(b, (h // p) * (w // p),",
            )
        ],
    },
    "patchify-strided": {
        "patch_permute": [
            ("images.reshape(b, c, h // p, p, w // p, p)", "images.reshape(b, c, p, h // p, p, w // p)"),
            ("x.permute(0, 2, 4, 1, 3, 5)", "x.permute(0, 3, 5, 1, 2, 4)"),
        ],
        "patch_einops": [("b c (h p1) (w p2) ->", "b c (p1 h) (p2 w) ->")],
        "vit_patchify": [
            ("images.view(b, c, h // p, p, w // p, p)", "images.view(b, c, p, h // p, p, w // p)"),
            ("x.permute(0, 2, 4, 3, 5, 1)", "x.permute(0, 3, 5, 2, 4, 1)"),
        ],
    },
    "patches-by-columns": {
        "patch_permute": [("x.permute(0, 2, 4, 1, 3, 5)", "x.permute(0, 4, 2, 1, 3, 5)")],
        "patch_unfold": [("patches.permute(0, 2, 3, 1, 4, 5)", "patches.permute(0, 3, 2, 1, 4, 5)")],
        "patch_einops": [("-> b (h w) (", "-> b (w h) (")],
        "patch_loops": [
            (
                "    for i in range(h // size):\n        for j in range(w // size):\n",
                "    for j in range(w // size):\n        for i in range(h // size):\n",
            )
        ],
        "patch_embedding_conv": [
            ("x.flatten(2).transpose(1, 2)", "x.transpose(2, 3).flatten(2).transpose(1, 2)")
        ],
    },
    # ---------------------------------------------------------------------------------------- CLS, pooling
    "cls-without-position": {
        "classifier_cls_token": [
            (
                "        x = self.word_embeddings(ids)\n",
                "        x = self.word_embeddings(ids)\n"
                "        x = x + self.position_embeddings(torch.arange(ids.shape[1], device=ids.device))\n",
            ),
            ("        x = x + self.position_embeddings(torch.arange(x.shape[1], device=ids.device))\n", ""),
        ],
        "vit_conv": [
            ("torch.randn(1, 1 + num_patches, embed_dim)", "torch.randn(1, num_patches, embed_dim)"),
            (
                "        cls_token = self.cls_token.repeat(",
                "        x = x + self.pos_embedding\n        cls_token = self.cls_token.repeat(",
            ),
            ("        x = x + self.pos_embedding\n", ""),
        ],
        "vit_patchify": [
            (
                "torch.cat((cls, tokens), dim=1) + self.pos_embed",
                "torch.cat((cls, tokens + self.pos_embed[1:]), dim=1)",
            )
        ],
    },
    "cls-from-wrong-place": {
        "pool_cls_index": [("hidden_states[:, 0]", "hidden_states[:, -1]")],
        "pool_cls_module": [
            ("cls, _ = x.split([1, x.size(1) - 1], dim=1)", "_, cls = x.split([x.size(1) - 1, 1], dim=1)")
        ],
        "classifier_cls_token": [("self.classifier(x[:, 0])", "self.classifier(x[:, -1])")],
        "vit_conv": [("self.norm(x)[:, 0]", "self.norm(x)[:, 1]")],
        "vit_patchify": [("torch.cat((cls, tokens), dim=1)", "torch.cat((tokens, cls), dim=1)")],
    },
    "pooling-counts-padding": {
        "pool_mean_mask": [
            ("total / count.clamp(min=1e-9)", "hidden.mean(dim=1)"),
            ("    total = (hidden * weights).sum(dim=1)\n    count = weights.sum(dim=1)\n", ""),
            ("    weights = mask.unsqueeze(-1).to(hidden.dtype)\n", ""),
        ],
        "pool_mean_lengths": [
            ("        x = x.masked_fill(~real[:, :, None], 0.0)\n", ""),
            ("x.sum(dim=1) / lengths[:, None]", "x.mean(dim=1)"),
        ],
        "pool_mean_loop": [("sequence[~padding].mean(dim=0)", "sequence.mean(dim=0)")],
        "classifier_mean_pool": [
            ("(x * weights).sum(dim=1) / weights.sum(dim=1)", "x.mean(dim=1)"),
            ("        weights = real.to(x.dtype).unsqueeze(-1)\n", ""),
        ],
    },
    "pooling-divides-by-length": {
        "pool_mean_mask": [("total / count.clamp(min=1e-9)", "total / hidden.shape[1]")],
        "pool_mean_lengths": [("x.sum(dim=1) / lengths[:, None]", "x.mean(dim=1)")],
        "pool_mean_loop": [
            ("sequence[~padding].mean(dim=0)", "sequence[~padding].sum(dim=0) / len(sequence)")
        ],
        "classifier_mean_pool": [
            ("(x * weights).sum(dim=1) / weights.sum(dim=1)", "(x * weights).mean(dim=1)")
        ],
    },
    "pooling-divides-by-batch": {
        "pool_mean_mask": [("weights.sum(dim=1)\n", "weights.sum()\n")],
        "pool_mean_lengths": [("/ lengths[:, None]", "/ real.sum()")],
        "pool_mean_loop": [
            ("sequence[~padding].mean(dim=0)", "sequence[~padding].sum(dim=0) / (~key_padding_mask).sum()")
        ],
        "classifier_mean_pool": [("weights.sum(dim=1)", "weights.sum()")],
    },
    # ------------------------------------------------------------------------------------- targets and loss
    "target-not-shifted": {
        "loss_functional": [("logits[:, :-1]", "logits"), ("tokens[:, 1:]", "tokens")],
        "loss_by_hand": [("logits[:, :-1]", "logits"), ("target = labels[:, 1:]", "target = labels")],
        "loss_module": [("        logits, ids = logits[:, :-1, :], ids[:, 1:]\n", "")],
        "seq2seq_shifts_inside": [("F.pad(labels[:, :-1], (1, 0), value=self.bos)", "labels")],
    },
    "target-shifted-twice": {
        "loss_functional": [
            (
                "    return F.cross_entropy(",
                "    predictions, targets = predictions[:, :-1], targets[:, 1:]\n    return F.cross_entropy(",
            )
        ],
        "loss_by_hand": [
            ("logits[:, :-1]", "logits[:, :-2]"),
            ("target = labels[:, 1:]", "target = labels[:, 2:]"),
        ],
        "loss_module": [
            ("logits.transpose(1, 2), ids)", "logits[:, :-1].transpose(1, 2), ids[:, 1:])"),
            ("mask = (ids != self.padding_idx)", "mask = (ids[:, 1:] != self.padding_idx)"),
        ],
        "seq2seq_caller_shifts": [
            (
                "        n = tgt.shape[1]\n",
                "        tgt = torch.cat((torch.ones_like(tgt[:, :1]), tgt[:, :-1]), dim=1)\n"
                "        n = tgt.shape[1]\n",
            )
        ],
        "seq2seq_shifts_inside": [
            (
                "F.pad(labels[:, :-1], (1, 0), value=self.bos)",
                "F.pad(labels[:, :-2], (2, 0), value=self.bos)",
            )
        ],
    },
    "loss-counts-padding": {
        "loss_functional": [(", ignore_index=pad_id", "")],
        "loss_by_hand": [("    keep = target != pad_idx\n", ""), ("nll[keep].mean()", "nll.mean()")],
        "loss_module": [("(loss * mask).sum() / mask.sum()", "(loss * mask).mean()")],
    },
    # ----------------------------------------------------------------------------------------------- masks
    "causal-excludes-self": {
        "masks_causal_bool": [("dtype=torch.bool))", "dtype=torch.bool), diagonal=-1)")],
        "masks_causal_float": [("mask[i, i + 1 :]", "mask[i, i:]")],
        "decoder_own_attention": [
            ("dtype=torch.bool, device=x.device))", "dtype=torch.bool, device=x.device), diagonal=-1)")
        ],
        "decoder_torch_attention": [("diagonal=1).bool()", "diagonal=0).bool()")],
        "decoder_sublayers": [(".tril()", ".tril(-1)")],
        "seq2seq_shifts_inside": [("device=tgt.device), diagonal=1)", "device=tgt.device))")],
    },
    "causal-one-too-far": {
        "masks_causal_bool": [("dtype=torch.bool))", "dtype=torch.bool), diagonal=1)")],
        "masks_causal_float": [("mask[i, i + 1 :]", "mask[i, i + 2 :]")],
        "decoder_own_attention": [
            ("dtype=torch.bool, device=x.device))", "dtype=torch.bool, device=x.device), diagonal=1)")
        ],
        "decoder_torch_attention": [("diagonal=1).bool()", "diagonal=2).bool()")],
        "decoder_sublayers": [(".tril()", ".tril(diagonal=1)")],
        "seq2seq_caller_shifts": [("device=tgt.device).tril()", "device=tgt.device).tril(1)")],
        "seq2seq_shifts_inside": [("device=tgt.device), diagonal=1)", "device=tgt.device), diagonal=2)")],
    },
    "causal-transposed": {
        "masks_causal_bool": [("torch.tril(", "torch.triu(")],
        "masks_causal_float": [("mask[i, i + 1 :]", "mask[i + 1 :, i]")],
        "decoder_own_attention": [("torch.tril(torch.ones(", "torch.triu(torch.ones(")],
        "decoder_torch_attention": [
            (
                "torch.triu(torch.ones(n, n, device=tgt.device), diagonal=1)",
                "torch.tril(torch.ones(n, n, device=tgt.device), diagonal=-1)",
            )
        ],
        "decoder_sublayers": [(".tril()", ".triu()")],
    },
    "causal-inverted": {
        "masks_causal_bool": [("dtype=torch.bool))", "dtype=torch.bool)).logical_not()")],
        "masks_causal_float": [
            ("torch.zeros(sz, sz)", 'torch.full((sz, sz), float("-inf"))'),
            ('i + 1 :] = float("-inf")', "i + 1 :] = 0.0"),
        ],
        "decoder_own_attention": [("device=x.device))", "device=x.device)).logical_not()")],
        "decoder_torch_attention": [
            (
                "torch.triu(torch.ones(n, n, device=tgt.device), diagonal=1)",
                "torch.tril(torch.ones(n, n, device=tgt.device))",
            )
        ],
        "decoder_sublayers": [(".tril()", ".triu(1)")],
    },
    "causal-forgotten": {
        "decoder_own_attention": [("self.self_attention(h, h, causal)", "self.self_attention(h, h)")],
        "decoder_torch_attention": [("tgt, tgt, tgt, attn_mask=mask)", "tgt, tgt, tgt)")],
        "decoder_sublayers": [("self.self_attn(x, x, x, tgt_mask)", "self.self_attn(x, x, x)")],
        "seq2seq_caller_shifts": [("[:, None, None, :] & causal", "[:, None, None, :]")],
        "seq2seq_shifts_inside": [("tgt, tgt, tgt, attn_mask=causal)", "tgt, tgt, tgt)")],
    },
    "padding-inverted": {
        "masks_padding_ids": [("src != pad_idx", "src == pad_idx")],
        "masks_padding_lengths": [("positions[None, :] >= lengths", "positions[None, :] < lengths")],
        "block_view_heads": [("key_padding_mask[:, None, None, :]", "~key_padding_mask[:, None, None, :]")],
        "classifier_mean_pool": [("masked_fill(~real[", "masked_fill(real[")],
        "classifier_cls_token": [
            ("F.pad(ids == 0, (1, 0), value=False)", "F.pad(ids != 0, (1, 0), value=True)")
        ],
        "seq2seq_caller_shifts": [("(src != 0)[", "(src == 0)[")],
        "seq2seq_shifts_inside": [("padding = src == 0", "padding = src != 0")],
    },
    "padding-wrong-axis": {
        "masks_padding_ids": [("mask.unsqueeze(1).unsqueeze(2)", "mask.unsqueeze(1).unsqueeze(3)")],
        "masks_padding_lengths": [
            ("positions[None, :] >= lengths[:, None]", "positions[:, None] >= lengths[None, :]")
        ],
        "block_view_heads": [("key_padding_mask[:, None, None, :]", "key_padding_mask[:, None, :, None]")],
        "classifier_mean_pool": [("~real[:, None, None, :]", "~real[:, None, :, None]")],
    },
    # ----------------------------------------------------------------- attention inside blocks and models
    "mask-multiplied": {
        "decoder_own_attention": [("masked_fill(~mask, -math.inf)", "masked_fill(~mask, 0.0)")],
        "decoder_sublayers": [('float("-inf")', "0")],
    },
    "mask-filled-with-1e-9": {
        "decoder_own_attention": [("masked_fill(~mask, -math.inf)", "masked_fill(~mask, -1e-9)")],
        "decoder_sublayers": [('float("-inf")', "-1e-9")],
    },
    "no-scale": {
        "block_view_heads": [(" / math.sqrt(self.d_head)", "")],
        "block_wrapped": [(" * self.scale", "")],
        "block_add_norm": [(" / math.sqrt(K.shape[-1])", "")],
        "decoder_own_attention": [(" / math.sqrt(q.size(-1))", "")],
        "decoder_sublayers": [(" / math.sqrt(query.size(-1))", "")],
        "classifier_mean_pool": [(" / math.sqrt(d // self.heads)", "")],
        "classifier_cls_token": [("        scores = scores * q.shape[-1] ** -0.5\n", "")],
        "vit_patchify": [(" * self.scale", "")],
        "seq2seq_caller_shifts": [(" / math.sqrt(k.shape[-1])", "")],
    },
    "scale-by-length": {
        "block_view_heads": [("math.sqrt(self.d_head)", "math.sqrt(length)")],
        "decoder_own_attention": [("math.sqrt(q.size(-1))", "math.sqrt(q.size(-2))")],
        "classifier_mean_pool": [("math.sqrt(d // self.heads)", "math.sqrt(n)")],
        "seq2seq_caller_shifts": [("math.sqrt(k.shape[-1])", "math.sqrt(k.shape[-2])")],
    },
    "softmax-over-queries": {
        "block_view_heads": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=-2)")],
        "block_wrapped": [("dots.softmax(dim=-1)", "dots.softmax(dim=2)")],
        "block_add_norm": [("torch.softmax(scores, dim=2)", "torch.softmax(scores, dim=1)")],
        "decoder_own_attention": [("scores.softmax(dim=-1)", "scores.softmax(dim=-2)")],
        "decoder_sublayers": [("scores.softmax(dim=-1)", "scores.softmax(dim=-2)")],
        "classifier_mean_pool": [("torch.softmax(scores, dim=-1)", "torch.softmax(scores, dim=2)")],
        "classifier_cls_token": [("F.softmax(scores, dim=-1)", "F.softmax(scores, dim=-2)")],
        "vit_patchify": [(".softmax(dim=-1)", ".softmax(dim=-2)")],
    },
    "padding-ignored": {
        "block_view_heads": [
            (
                "        if key_padding_mask is not None:\n"
                "            scores = scores.masked_fill("
                'key_padding_mask[:, None, None, :], float("-inf"))\n',
                "",
            )
        ],
        "block_torch_attention": [("x, x, x, key_padding_mask=padding, ", "x, x, x, ")],
        "decoder_own_attention": [("(h, memory, memory_mask)", "(h, memory)")],
        "decoder_torch_attention": [(", key_padding_mask=memory_key_padding_mask)", ")")],
        "decoder_sublayers": [("self.src_attn(x, m, m, src_mask)", "self.src_attn(x, m, m)")],
        "classifier_mean_pool": [
            ("        scores = scores.masked_fill(~real[:, None, None, :], -torch.inf)\n", "")
        ],
        "classifier_cls_token": [
            ('        scores = scores.masked_fill(padding[:, None, None], float("-inf"))\n', "")
        ],
        "seq2seq_caller_shifts": [
            (
                "src_mask = (src != 0)[:, None, None, :]",
                "src_mask = torch.ones_like(src, dtype=torch.bool)[:, None, None, :]",
            )
        ],
        "seq2seq_shifts_inside": [("memory, memory, key_padding_mask=padding)", "memory, memory)")],
    },
    "cross-attends-to-itself": {
        "decoder_own_attention": [
            ("self.cross_attention(h, memory, memory_mask)", "self.cross_attention(h, h)")
        ],
        "decoder_torch_attention": [
            (
                "self.multihead_attn(tgt, memory, memory, key_padding_mask=memory_key_padding_mask)",
                "self.multihead_attn(tgt, tgt, tgt)",
            )
        ],
        "decoder_sublayers": [("self.src_attn(x, m, m, src_mask)", "self.src_attn(x, x, x)")],
        "seq2seq_caller_shifts": [
            ("self.cross_attention(h, memory, src_mask)", "self.cross_attention(h, h, tgt_mask)")
        ],
        "seq2seq_shifts_inside": [
            (
                "self.cross_attn(tgt, memory, memory, key_padding_mask=padding)",
                "self.cross_attn(tgt, tgt, tgt, attn_mask=causal)",
            )
        ],
    },
    "batch-length-swapped": {
        "block_torch_attention": [(", dropout=dropout, batch_first=True", ", dropout=dropout")],
        "vit_conv": [("num_heads, batch_first=True)", "num_heads)")],
        "pool_cls_index": [("hidden_states[:, 0]", "hidden_states[0]")],
    },
}

# Right under some convention or after a renaming of parameters: the checker may remark on it, not fail it.
REMARKS: set[tuple[str, str]] = {
    *(("norms-swapped", base) for base in MISTAKES["norms-swapped"]),
    *(("sines-concatenated", base) for base in MISTAKES["sines-concatenated"]),
    *(("patches-by-columns", base) for base in MISTAKES["patches-by-columns"]),
    # the formula is one for even widths; that another one crashes is told
    *(("positions-odd-width", base) for base in MISTAKES["positions-odd-width"]),
    # a Boolean mask is right under the other meaning of True, which the docstring excludes
    ("causal-inverted", "masks_causal_bool"),
    ("padding-inverted", "masks_padding_ids"),
    ("padding-inverted", "masks_padding_lengths"),
}
SEEDS = Seeds(BASES, MISTAKES)
source, cases = SEEDS.source, SEEDS.cases


def target(text: str) -> str:
    """The name of what a source is about: what `# target:` says, or the only thing that it defines."""
    named = re.search(r"^# target: (\w+)$", text, re.M)
    if named:
        return named[1]
    (one,) = re.findall(r"^(?:class|def) (\w+)", text, re.M)
    return one
