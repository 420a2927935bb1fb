# contract: text-classifier
# target: BertClassifier
import torch
import torch.nn as nn
import torch.nn.functional as F


class SelfAttention(nn.Module):
    def __init__(self, hidden_size, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.dense = nn.Linear(hidden_size, hidden_size)

    def forward(self, x, padding):
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)) for layer in (self.query, self.key, self.value)
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k)
        scores = scores * q.shape[-1] ** -0.5
        scores = scores.masked_fill(padding[:, None, None], float("-inf"))
        probs = F.softmax(scores, dim=-1)
        return self.dense(torch.einsum("bhqk,bkhd->bqhd", probs, v).flatten(2))


class Layer(nn.Module):
    """One post-norm layer as in BERT, with the exact GELU."""

    def __init__(self, hidden_size, num_heads, intermediate_size, p):
        super().__init__()
        self.attention = SelfAttention(hidden_size, num_heads)
        self.norm1 = nn.LayerNorm(hidden_size)
        self.intermediate = nn.Linear(hidden_size, intermediate_size)
        self.output = nn.Linear(intermediate_size, hidden_size)
        self.norm2 = nn.LayerNorm(hidden_size)
        self.dropout = nn.Dropout(p)

    def forward(self, x, padding):
        x = self.norm1(x + self.dropout(self.attention(x, padding)))
        y = self.output(F.gelu(self.intermediate(x)))
        return self.norm2(x + self.dropout(y))


class BertClassifier(nn.Module):
    """Puts a learned CLS token in front of the text and classifies its final state.

    ids: (batch, length), at most max_length, 0 for padding. Each token has a learned position, CLS the first.
    """

    def __init__(
        self,
        vocab_size,
        num_classes,
        max_length=128,
        hidden_size=32,
        num_heads=4,
        num_layers=2,
        intermediate_size=64,
        p=0.1,
    ):
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, hidden_size)
        self.position_embeddings = nn.Embedding(max_length + 1, hidden_size)
        self.cls = nn.Parameter(0.02 * torch.randn(hidden_size))
        self.dropout = nn.Dropout(p)
        self.layers = nn.ModuleList()
        for _ in range(num_layers):
            self.layers.append(Layer(hidden_size, num_heads, intermediate_size, p))
        self.classifier = nn.Linear(hidden_size, num_classes)

    def forward(self, ids):
        x = self.word_embeddings(ids)
        cls = self.cls.expand(len(x), 1, -1)
        x = torch.cat([cls, x], dim=1)
        x = x + self.position_embeddings(torch.arange(x.shape[1], device=ids.device))
        x = self.dropout(x)
        padding = F.pad(ids == 0, (1, 0), value=False)
        for layer in self.layers:
            x = layer(x, padding)
        return self.classifier(x[:, 0])
