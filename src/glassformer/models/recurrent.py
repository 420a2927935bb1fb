"""The rival of the text transformer, made of PyTorch's own recurrent layers: they are what a user has."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glassformer.models.configs import RecurrentClassifierConfig
from glassformer.nn.pooling import MaxPool, MeanPool

CELL = {"lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentClassifier(nn.Module):
    """logits = W pool(h_1, ..., h_T) + b, with h the states of an LSTM or a GRU over the embedded tokens.

    Padded sequences are packed, so that no state is ever computed from padding; pool='last' takes the last
    real state of each direction, mean and max go over the real tokens.

    Source: Hochreiter & Schmidhuber 1997 (LSTM), Cho et al. 2014 (GRU), both as torch.nn has them.
    """

    def __init__(self, config: RecurrentClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab, config.d_model)
        nn.init.normal_(self.embed.weight, std=config.embedding_std)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.recurrent = CELL[config.cell](
            config.d_model,
            config.d_hidden,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=config.bidirectional,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.pool = {"mean": MeanPool(), "max": MaxPool(), "last": None}[config.pool]
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.d_hidden * (1 + config.bidirectional), config.classes)

    def forward(
        self, ids: Int[Tensor, "batch tokens"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch classes"]:
        x = self.embedding_dropout(self.embed(ids))
        if mask is None:
            states, last = self.recurrent(x)
        else:
            # packing wants the lengths on the CPU
            packed = pack_padded_sequence(x, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
            states, last = self.recurrent(packed)
            states, _ = pad_packed_sequence(states, batch_first=True, total_length=ids.shape[1])
        if self.pool is None:
            state = last[0] if isinstance(last, tuple) else last
            directions = 1 + self.config.bidirectional
            pooled = torch.cat(list(state[-directions:]), dim=-1)
        else:
            pooled = self.pool(states, mask)
        return self.head(self.dropout(pooled))
