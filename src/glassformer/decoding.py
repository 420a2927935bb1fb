"""From logits to sequences: greedy, sampling, beam search. Pure functions over a step function.

A step function says how the next token is distributed. It is called as step(prefixes, state), with all tokens
so far, (rows tokens), and what it returned as its state the last time (at first None), and gives the logits
(rows vocab) and its new state. A state that holds something for each row has a method `take(rows)`, which
keeps those rows in that order; beam search calls it. One without a memory is

    def step(prefixes, state):
        return model(prefixes)[:, -1], None

Every function takes the first tokens of each row, `start` (rows prefix), and gives the tokens that follow:
a row that is over holds `end` and, behind it, `end` again. Nothing of what comes after the end of a row is
computed from it, but its places are filled until the longest row of the batch is over.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Step(Protocol):
    """See the module."""

    def __call__(self, prefixes: Tensor, state: Any) -> tuple[Tensor, Any]: ...


def greedy(
    step: Step, start: Int[Tensor, "rows prefix"], *, end: int, max_tokens: int
) -> Int[Tensor, "rows tokens"]:
    """y_t = argmax_v p(v | y_1 ... y_(t-1)), until `end` or for max_tokens."""
    return _one_by_one(step, start, lambda logits: logits.argmax(-1), end, max_tokens)


def sample(
    step: Step,
    start: Int[Tensor, "rows prefix"],
    *,
    end: int,
    max_tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "rows tokens"]:
    """y_t ~ softmax(logits / temperature) over the tokens that `restricted` leaves, until `end`.

    Raises ValueError for a temperature, top_k or top_p out of range, before anything is drawn.
    """
    _check(temperature, top_k, top_p)

    def draw(logits: Tensor) -> Tensor:
        probabilities = restricted(logits.float(), temperature, top_k, top_p).softmax(-1)
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0]

    return _one_by_one(step, start, draw, end, max_tokens)


def restricted(
    logits: Float[Tensor, "rows vocab"], temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Float[Tensor, "rows vocab"]:
    """logits / temperature, and -∞ for every token but the likeliest.

    top_k: the k likeliest stay, with those as likely as the k-th (Fan et al. 2018); 0 keeps all. top_p: of
    those, the fewest whose probabilities sum to at least top_p stay (Holtzman et al. 2020); 1 keeps all.
    Raises ValueError for a temperature, top_k or top_p out of range.
    """
    _check(temperature, top_k, top_p)
    logits = logits / temperature
    if top_k:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1:
        ordered, order = logits.sort(descending=True, stable=True)
        probabilities = ordered.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities  # the likeliest one always stays
        logits = logits.masked_fill((before >= top_p).scatter(-1, order, before >= top_p), -torch.inf)
    return logits


def beam_search(
    step: Step,
    start: Int[Tensor, "rows prefix"],
    *,
    beams: int,
    end: int,
    max_tokens: int,
    length_penalty: float = 0.0,
) -> tuple[Int[Tensor, "rows found tokens"], Float[Tensor, "rows found"]]:
    """The likeliest of the sequences that a beam comes across, best first, and their scores.

    At each token every one of the `beams` likeliest prefixes is continued by every token, and the likeliest
    of these stay; one that has ended competes with its final probability. The score is
    log p(y) / ((5 + |y|) / 6)^length_penalty, |y| counting `end` (Wu et al. 2016, equation 14; 0: log p(y)).
    It ranks what was found at the end; on the way the probability alone decides.

    One beam is `greedy`. Gives `beams` sequences a row, or fewer where no row has more; a row that has fewer
    than the others ends in scores of -∞. Raises ValueError where a step gives logits that are no numbers.
    """
    if beams < 1:
        raise ValueError(f"beams={beams} is not a number of prefixes; choose 1 or more")
    if max_tokens < 1:
        raise ValueError(f"max_tokens={max_tokens} leaves nothing to generate; choose 1 or more")
    rows = len(start)
    prefixes, state = start, None
    log_p = torch.zeros(rows, 1, dtype=torch.float64, device=start.device)
    over = torch.zeros(rows, 1, dtype=torch.bool, device=start.device)
    length = torch.zeros(rows, 1, dtype=torch.long, device=start.device)
    for _ in range(max_tokens):
        logits, state = step(prefixes, state)
        if bool(logits.isnan().any()):
            raise ValueError("a step gave logits that are not numbers; look at the weights it was made from")
        vocab, width = logits.shape[-1], log_p.shape[1]
        next_log_p = logits.double().log_softmax(-1).view(rows, width, vocab)
        if bool(over.any()):
            only_end = torch.full_like(next_log_p[0, 0], -torch.inf)
            only_end[end] = 0.0
            next_log_p = torch.where(over[:, :, None], only_end, next_log_p)
        # stable, so that of equals the first one stays, as it does for argmax
        ranked, order = (log_p[:, :, None] + next_log_p).flatten(1).sort(descending=True, stable=True)
        # where a row has fewer than the others, impossible ones fill it up
        kept = min(beams, int((ranked > -torch.inf).sum(1).max()))
        log_p, order = ranked[:, :kept], order[:, :kept]
        parent, token = order // vocab, order % vocab
        length = length.gather(1, parent) + (~over.gather(1, parent)).long()
        over = over.gather(1, parent) | (token == end) | (log_p == -torch.inf)
        taken = (parent + torch.arange(rows, device=start.device)[:, None] * width).flatten()
        prefixes = torch.cat([prefixes[taken], token.view(-1, 1)], dim=1)
        if state is not None:
            state.take(taken)
        if bool(over.all()):
            break
    scores = log_p / ((5 + length) / 6) ** length_penalty
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    found = prefixes[:, start.shape[1] :].view(rows, -1, prefixes.shape[1] - start.shape[1])
    return found.gather(1, order[:, :, None].expand_as(found)), scores


def _one_by_one(step: Step, start: Tensor, choose: Any, end: int, max_tokens: int) -> Tensor:
    if max_tokens < 1:
        raise ValueError(f"max_tokens={max_tokens} leaves nothing to generate; choose 1 or more")
    prefixes, state = start, None
    over = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    for _ in range(max_tokens):
        logits, state = step(prefixes, state)
        token = choose(logits).masked_fill(over, end)
        prefixes = torch.cat([prefixes, token[:, None]], dim=1)
        over |= token == end
        if bool(over.all()):
            break
    return prefixes[:, start.shape[1] :]


def _check(temperature: float, top_k: int, top_p: float) -> None:
    if temperature <= 0:
        raise ValueError(f"temperature={temperature} is not positive; choose 0.7 to 1, or decode greedily")
    if top_k < 0:
        raise ValueError(f"top_k={top_k} is negative; choose 0 (all tokens) or more")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} is not a probability; choose 0 < top_p <= 1")
