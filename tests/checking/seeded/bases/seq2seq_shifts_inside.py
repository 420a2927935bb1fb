# contract: encoder-decoder
# target: Seq2SeqTransformer
import torch
import torch.nn as nn
import torch.nn.functional as F


class EncoderLayer(nn.Module):
    """post-norm, ReLU"""

    def __init__(self, d_model, nhead, d_ff, dropout):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d_model, nhead, batch_first=True)
        self.norm1 = nn.LayerNorm(d_model)
        self.ffn = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model))
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, src, padding):
        a, _ = self.self_attn(src, src, src, key_padding_mask=padding)
        src = self.norm1(src + self.dropout(a))
        f = self.ffn(src)
        return self.norm2(src + self.dropout(f))


class DecoderLayer(nn.Module):
    """post-norm, ReLU"""

    def __init__(self, d_model, nhead, d_ff, dropout):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(d_model, nhead, batch_first=True)
        self.norm1 = nn.LayerNorm(d_model)
        self.cross_attn = nn.MultiheadAttention(d_model, nhead, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.ffn = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model))
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tgt, memory, causal, padding):
        a, _ = self.self_attn(tgt, tgt, tgt, attn_mask=causal)
        tgt = self.norm1(tgt + self.dropout(a))
        c, _ = self.cross_attn(tgt, memory, memory, key_padding_mask=padding)
        tgt = self.norm2(tgt + self.dropout(c))
        f = self.ffn(tgt)
        return self.norm3(tgt + self.dropout(f))


class Seq2SeqTransformer(nn.Module):
    """Encoder-decoder that is given the labels: logits[:, t] predict labels[:, t] from labels[:, :t].

    The decoder's input is made here, as in T5: the labels moved to the right behind <bos> (id 1).
    Learned positions; 0 is padding, at the end.
    """

    def __init__(
        self,
        vocab_size,
        d_model=32,
        nhead=4,
        num_layers=2,
        d_ff=64,
        max_len=64,
        dropout=0.1,
        bos=1,
    ):
        super().__init__()
        self.bos = bos
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.positions = nn.Embedding(max_len, d_model)
        self.dropout = nn.Dropout(dropout)
        self.encoder = nn.ModuleList([EncoderLayer(d_model, nhead, d_ff, dropout) for _ in range(num_layers)])
        self.decoder = nn.ModuleList()
        for _ in range(num_layers):
            self.decoder.append(DecoderLayer(d_model, nhead, d_ff, dropout))
        self.lm_head = nn.Linear(d_model, vocab_size)

    def embed(self, ids):
        position_ids = torch.arange(ids.size(1), device=ids.device)
        return self.dropout(self.embedding(ids) + self.positions(position_ids))

    def forward(self, src, labels):
        padding = src == 0
        memory = self.embed(src)
        for layer in self.encoder:
            memory = layer(memory, padding)
        tgt = F.pad(labels[:, :-1], (1, 0), value=self.bos)
        n = tgt.size(1)
        causal = torch.triu(torch.full((n, n), float("-inf"), device=tgt.device), diagonal=1)
        x = self.embed(tgt)
        for layer in self.decoder:
            x = layer(x, memory, causal.to(x.dtype), padding)
        return self.lm_head(x)
