"""glassformer verify-board FOLDER"""

from pathlib import Path

from glassformer.commands import COMMANDS
from glassformer.commands.parsing import say
from glassformer.errors import DataError, UsageError


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print("usage: glassformer verify-board FOLDER\n\n" + COMMANDS["verify-board"])
        return 0 if words else 2
    if len(words) > 1:
        raise UsageError(f"verify-board takes one folder, but {words[1]!r} was given too")
    from glassformer.experiments.board import print_board, verify

    if wrong := verify(Path(words[0]), say):
        raise DataError(
            f"the board is not what it says: {wrong[0]}" + f" (and {len(wrong) - 1} more)" * (len(wrong) > 1)
        )
    print_board(Path(words[0]))
    return 0
