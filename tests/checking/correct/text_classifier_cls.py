# contract: text-classifier
import torch
import torch.nn as nn


class SentimentClassifier(nn.Module):
    """Learned positions, a CLS token in front, torch's encoder layers; id 0 is padding."""

    def __init__(
        self, vocab_size, max_len=512, emb_size=64, nhead=4, num_layers=2, num_classes=2, dropout=0.1
    ):
        super().__init__()
        self.tok_emb = nn.Embedding(vocab_size, emb_size, padding_idx=0)
        self.pos_emb = nn.Embedding(max_len + 1, emb_size)
        self.cls = nn.Parameter(torch.randn(1, 1, emb_size) * 0.02)
        layer = nn.TransformerEncoderLayer(
            emb_size, nhead, dim_feedforward=4 * emb_size, dropout=dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)
        self.head = nn.Linear(emb_size, num_classes)

    def forward(self, ids):
        batch, length = ids.shape
        x = torch.cat([self.cls.expand(batch, -1, -1), self.tok_emb(ids)], dim=1)
        x = x + self.pos_emb(torch.arange(length + 1, device=ids.device))
        padding = torch.cat([ids.new_zeros(batch, 1, dtype=torch.bool), ids == 0], dim=1)
        x = self.encoder(x, src_key_padding_mask=padding)
        return self.head(x[:, 0])
