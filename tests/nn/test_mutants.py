"""The tests, tested: each comparison passes what is right and refuses the seeded mistake."""

from collections import Counter

import pytest
import torch

from tests.nn.mutants import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mistake_is_noticed(mutant):
    mutant.compare(mutant.right)
    torch.manual_seed(20171206)
    with pytest.raises(AssertionError):
        mutant.compare(mutant.wrong)


def test_names_are_distinct():
    assert not [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1]
