# contract: multi-head-attention
import torch
from torch import nn


class MehrkopfAufmerksamkeit(nn.Module):
    """Mehrköpfige Selbstaufmerksamkeit.

    Eingabe und Ausgabe: (Batch, Länge, dim). `maske`: (Batch, Länge), True = echtes Token.
    """

    def __init__(self, dim: int, koepfe: int):
        super().__init__()
        self.koepfe = koepfe
        self.anfrage = nn.Linear(dim, dim)
        self.schluessel = nn.Linear(dim, dim)
        self.wert = nn.Linear(dim, dim)
        self.ausgabe = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, maske: torch.Tensor | None = None) -> torch.Tensor:
        q, k, v = self.anfrage(x), self.schluessel(x), self.wert(x)
        breite = q.shape[-1] // self.koepfe
        ergebnisse = []
        for i in range(self.koepfe):  # Kopf für Kopf
            teil = slice(i * breite, (i + 1) * breite)
            punkte = q[..., teil] @ k[..., teil].transpose(1, 2) / breite**0.5
            if maske is not None:
                punkte = punkte.masked_fill(~maske.unsqueeze(1), float("-inf"))
            ergebnisse.append(punkte.softmax(dim=-1) @ v[..., teil])
        return self.ausgabe(torch.cat(ergebnisse, dim=-1))
