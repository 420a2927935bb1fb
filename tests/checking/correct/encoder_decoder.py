# contract: encoder-decoder
import math

import torch
from torch import Tensor, nn


class Seq2SeqTransformer(nn.Module):
    """Source ids (batch, source) and target ids (batch, target) to logits (batch, target, vocabulary).

    The target comes shifted by the caller: <sos> first, without the last token. Id 0 is padding.
    """

    def __init__(
        self, src_vocab: int, tgt_vocab: int, d_model=32, nhead=4, num_layers=2, d_ff=64, dropout=0.1
    ):
        super().__init__()
        self.d_model = d_model
        self.src_embedding = nn.Embedding(src_vocab, d_model)
        self.tgt_embedding = nn.Embedding(tgt_vocab, d_model)
        self.dropout = nn.Dropout(dropout)
        self.transformer = nn.Transformer(
            d_model, nhead, num_layers, num_layers, d_ff, dropout=dropout, batch_first=True
        )
        self.generator = nn.Linear(d_model, tgt_vocab)

    def _positions(self, x: Tensor) -> Tensor:
        pos = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)[:, None]
        i = torch.arange(0, self.d_model, 2, dtype=x.dtype, device=x.device)
        angle = pos * torch.exp(-math.log(10000.0) * i / self.d_model)
        return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)

    def _embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        x = embedding(ids) * math.sqrt(self.d_model)
        return self.dropout(x + self._positions(x))

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        causal = torch.ones(tgt.shape[1], tgt.shape[1], dtype=torch.bool, device=tgt.device).triu(1)
        out = self.transformer(
            self._embed(self.src_embedding, src),
            self._embed(self.tgt_embedding, tgt),
            tgt_mask=causal,
            src_key_padding_mask=src == 0,
            tgt_key_padding_mask=tgt == 0,
            memory_key_padding_mask=src == 0,
        )
        return self.generator(out)
