"""Decoding over tables of probabilities whose best sequences are found by trying all of them."""

import itertools

import pytest
import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from glassformer.decoding import beam_search, greedy, restricted, sample

VOCAB, END = 5, 4


class Table:
    """p(next | all tokens so far) drawn once for each prefix, so that history matters. Remembers its rows."""

    def __init__(self, rows: int, sharpness: float = 2.0) -> None:
        self.known: dict[tuple[int, ...], Tensor] = {}
        self.sharpness = sharpness
        self.owner = torch.arange(rows)
        self.calls = 0

    def of(self, prefix: tuple[int, ...]) -> Tensor:
        if prefix not in self.known:
            generator = torch.Generator().manual_seed(hash(prefix) % 2**31)
            self.known[prefix] = self.sharpness * torch.randn(VOCAB, generator=generator)
        return self.known[prefix]

    def __call__(self, prefixes: Tensor, state: object) -> tuple[Tensor, "Table"]:
        self.calls += 1
        # a row is told by its first token, and the state must have been reordered with the prefixes
        assert torch.equal(prefixes[:, 0], 100 + self.owner)
        return torch.stack([self.of(tuple(prefix)) for prefix in prefixes.tolist()]), self

    def take(self, rows: Tensor) -> None:
        self.owner = self.owner[rows]

    def log_p(self, first: int, sequence: tuple[int, ...]) -> float:
        return sum(
            float(self.of((100 + first, *sequence[:i])).double().log_softmax(-1)[token])
            for i, token in enumerate(sequence)
        )


def start(rows: int) -> Tensor:
    return 100 + torch.arange(rows)[:, None]


def all_sequences(longest: int):
    """Every sequence of that many tokens, or of fewer and then the end."""
    for length in range(1, longest + 1):
        for tokens in itertools.product(range(VOCAB), repeat=length):
            if END not in tokens[:-1] and (tokens[-1] == END or length == longest):
                yield tokens


def filled(sequence: tuple[int, ...], length: int) -> list[int]:
    return [*sequence, *[END] * (length - len(sequence))]


def test_greedy_takes_the_likeliest_token_each_time() -> None:
    table = Table(7)
    found = greedy(table, start(7), end=END, max_tokens=6)
    for row, tokens in enumerate(found.tolist()):
        so_far, over = (100 + row,), False
        for token in tokens:
            assert token == (END if over else int(table.of(so_far).argmax()))
            over |= token == END
            so_far = (*so_far, token)
    ended = (found == END).any(1)
    assert ended.any()
    assert not ended.all()


def test_decoding_stops_when_every_row_is_over() -> None:
    table = Table(3)
    for row in range(3):  # row r ends after r + 1 tokens
        for step in range(9):
            logits = torch.zeros(VOCAB)
            logits[END if step >= row else row] = 9.0
            table.known[(100 + row, *[row] * step)] = logits
    found = greedy(table, start(3), end=END, max_tokens=20)
    assert found.tolist() == [[4, 4, 4], [1, 4, 4], [2, 2, 4]]
    assert table.calls == 3


@pytest.mark.parametrize("length", [1, 2, 4])
def test_one_beam_is_greedy(length) -> None:
    found, scores = beam_search(Table(6), start(6), beams=1, end=END, max_tokens=length)
    expected = greedy(table := Table(6), start(6), end=END, max_tokens=length)
    assert torch.equal(found[:, 0], expected)
    for row, tokens in enumerate(expected.tolist()):
        kept = tokens[: tokens.index(END) + 1] if END in tokens else tokens
        assert scores[row, 0].item() == pytest.approx(table.log_p(row, tuple(kept)), abs=1e-9)


def test_one_beam_is_greedy_where_tokens_are_equally_likely() -> None:
    def flat(prefixes, state):
        logits = torch.zeros(len(prefixes), VOCAB)
        logits[:, 1:3] = 1.0
        return logits, None

    found, _ = beam_search(flat, start(3), beams=1, end=END, max_tokens=3)
    assert torch.equal(found[:, 0], greedy(flat, start(3), end=END, max_tokens=3))


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_pair(sharpness) -> None:
    rows = 8
    table = Table(rows, sharpness)
    found, scores = beam_search(table, start(rows), beams=VOCAB, end=END, max_tokens=2)
    differs = 0
    for row in range(rows):
        ranked = sorted(all_sequences(2), key=lambda sequence: -table.log_p(row, sequence))
        assert found[row, 0].tolist() == filled(ranked[0], 2)
        assert scores[row, 0].item() == pytest.approx(table.log_p(row, ranked[0]), abs=1e-9)
        single = greedy(Table(rows, sharpness), start(rows), end=END, max_tokens=2)
        differs += single[row].tolist() != filled(ranked[0], 2)
    if sharpness < 3:
        assert differs  # else greedy would have passed too


def test_a_beam_that_holds_everything_ranks_everything() -> None:
    table = Table(2)
    found, scores = beam_search(table, start(2), beams=200, end=END, max_tokens=3)
    for row in range(2):
        ranked = sorted(all_sequences(3), key=lambda sequence: -table.log_p(row, sequence))
        assert found[row].tolist() == [filled(sequence, 3) for sequence in ranked]
        assert scores[row].tolist() == pytest.approx([table.log_p(row, each) for each in ranked], abs=1e-9)


def test_a_row_with_few_sequences_narrows_no_other() -> None:
    def only_one_way(table: Table) -> Table:
        for prefix in (
            (101,),
            *((101, *more) for n in (1, 2) for more in itertools.product(range(VOCAB), repeat=n)),
        ):
            table.known[prefix] = torch.full((VOCAB,), -torch.inf).scatter(0, torch.tensor([1]), 0.0)
        return table

    together, scores = beam_search(only_one_way(Table(3)), start(3), beams=4, end=END, max_tokens=3)
    alone, alone_scores = beam_search(Table(3), start(3), beams=4, end=END, max_tokens=3)
    for row in (0, 2):
        assert torch.equal(together[row], alone[row])
        assert torch.equal(scores[row], alone_scores[row])
    assert together[1, 0].tolist() == [1, 1, 1]
    assert scores[1].tolist() == [0.0, -torch.inf, -torch.inf, -torch.inf]


def test_logits_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        beam_search(
            lambda prefixes, state: (torch.full((len(prefixes), VOCAB), torch.nan), None),
            start(2),
            beams=2,
            end=END,
            max_tokens=3,
        )


def test_the_length_penalty_ranks_by_its_formula() -> None:
    plain, long_ones = Table(4), Table(4)
    found, scores = beam_search(long_ones, start(4), beams=200, end=END, max_tokens=3, length_penalty=1.3)
    for row in range(4):
        ranked = sorted(all_sequences(3), key=lambda s: -long_ones.log_p(row, s) / ((5 + len(s)) / 6) ** 1.3)
        assert found[row].tolist() == [filled(sequence, 3) for sequence in ranked]
    without, _ = beam_search(plain, start(4), beams=200, end=END, max_tokens=3)
    assert not torch.equal(found, without)
    assert torch.equal(scores, scores.sort(1, descending=True).values)


@pytest.mark.parametrize("top_k", [0, 1, 3, 11, 50])
@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_restricted_is_transformers(top_k, top_p, temperature) -> None:
    logits = torch.randn(13, 11)
    expected = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k:
        expected = TopKLogitsWarper(top_k)(None, expected)
    if top_p < 1:
        expected = TopPLogitsWarper(top_p)(None, expected)
    torch.testing.assert_close(restricted(logits, temperature, top_k, top_p), expected)


def test_samples_are_as_frequent_as_they_are_likely() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -9.0])
    options = {"temperature": 0.7, "top_k": 3, "top_p": 0.95}
    drawn = sample(
        lambda prefixes, state: (logits.expand(len(prefixes), -1), None),
        torch.zeros(20_000, 1, dtype=torch.long),
        end=END,
        max_tokens=1,
        generator=torch.Generator().manual_seed(1),
        **options,
    )
    shares = drawn[:, 0].bincount(minlength=VOCAB) / len(drawn)
    expected = restricted(logits[None], **options).softmax(-1)[0]
    assert (shares - expected).abs().max() < 0.015
    assert shares[3] == shares[4] == 0


def test_sampling_of_one_is_greedy_and_repeats_by_its_seed() -> None:
    draws = [
        sample(Table(5), start(5), end=END, max_tokens=6, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert draws[0].shape != draws[2].shape or not torch.equal(draws[0], draws[2])
    single = sample(Table(5), start(5), end=END, max_tokens=6, top_k=1)
    assert torch.equal(single, greedy(Table(5), start(5), end=END, max_tokens=6))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"temperature": 0.0}, "temperature=0.0 is not positive"),
        ({"top_k": -1}, "top_k=-1 is negative"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"max_tokens": 0}, "max_tokens=0"),
    ],
)
def test_what_cannot_be_sampled_is_refused_before_a_step(options, line) -> None:
    table = Table(2)
    with pytest.raises(ValueError, match=line):
        sample(table, start(2), **{"end": END, "max_tokens": 3} | options)
    assert table.calls == 0


def test_what_cannot_be_searched_is_refused() -> None:
    with pytest.raises(ValueError, match="beams=0"):
        beam_search(Table(2), start(2), beams=0, end=END, max_tokens=3)
    with pytest.raises(ValueError, match="max_tokens=0"):
        beam_search(Table(2), start(2), beams=2, end=END, max_tokens=0)
