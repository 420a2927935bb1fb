"""Where an iteration over batches stands, so that a stopped run goes on with the very next one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


class Position:
    """Counts the epochs that are over and the batches given in this one."""

    def __init__(self) -> None:
        self.epoch = 0
        self.given = 0

    @property
    def position(self) -> dict[str, int]:
        """Whole epochs, and batches given in this one."""
        return {"epoch": self.epoch, "given": self.given}

    def go_to(self, position: dict[str, int]) -> None:
        """Goes on where `position` was taken."""
        self.epoch, self.given = position["epoch"], position["given"]

    def work(self, epoch: int) -> float:
        """What a batch of this epoch, the first 0, costs in batches of the last: the time left goes by it."""
        return 1.0

    def _from_here(
        self, batches: Sequence[np.ndarray], make: Callable[[np.ndarray, int], dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """`make(rows, number)` of each batch of this epoch that was not yet given."""
        for number in range(self.given, len(batches)):
            batch = make(batches[number], number)
            # before the yield: a loop that counts the batches never comes back after the last one
            self.given = number + 1
            if self.given == len(batches):
                self.epoch, self.given = self.epoch + 1, 0
            yield batch
