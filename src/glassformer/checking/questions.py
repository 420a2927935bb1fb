"""Why code could not be run, in words; and what to ask where the checker cannot find out how it is meant."""

import re

from glassformer.checking.constructions import CONFIGURATIONS
from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.exchange import Argument, CodeError, Offer
from glassformer.checking.judging import Outcome
from glassformer.checking.names import forward_role, size_role
from glassformer.checking.source import Code
from glassformer.checking.targets import Target

TRIED = ("TypeError", "AttributeError", "RuntimeError", "IndexError", "KeyError", "ValueError", "Returned")
"""Errors that may come from what was given for an argument of which the checker knows nothing."""
ITSELF = "multi-head-attention"
"""What takes one input only is self-attention."""
NAMED_OTHERWISE = ("numpy-backward", "text-classifier", "vision-transformer", "encoder-decoder")
"""Contracts whose judges know arguments by other means than by their names."""
TAKES = {
    "attention": ("q", "k", "v"), "multi-head-attention": ("query", "key", "value"),
    "decoder-block": ("x", "memory"), "patchify": ("images",), "patch-embedding": ("images",),
    "mean-pooling": ("x", "mask"), "causal-mask": ("size",), "padding-mask": ("ids",),
    "cross-entropy": ("logits", "tokens"), "text-classifier": ("ids",), "vision-transformer": ("images",),
    "encoder-decoder": ("src", "tgt"), "numpy-backward": ("X", "y"),
}  # fmt: skip
"""What an adapter takes; x where nothing is said."""
BUILT_WITH = {
    "multi-head-attention": ("d_model", "heads"), "self-attention": ("d_model",),
    "transformer-block": ("d_model", "heads", "d_ff"), "decoder-block": ("d_model", "heads", "d_ff"),
}  # fmt: skip
"""What an adapter is built with, beside what the constructor itself asks for."""
BEYOND = "Beyond"
"""The kind of error where the code does what no contract has."""
NO_CONTRACT = {
    "rotary positions (RoPE)": r"(^|_)rope($|_)|rotary|freqs_cis|rotate_half",
    "ALiBi's biases": r"(^|_)alibi($|_)",
    "relative positions": r"relative_?(position|bias)|(^|_)rel_?pos($|_)",
}


def asks(error: CodeError, offer: Offer, built: bool, slug: str) -> bool:
    """Whether the checker did not know how to build or to call it, rather than the code having failed."""
    if error.kind == BEYOND or (error.kind == "TypeError" and error.line == 0):
        return True
    if _unknown(offer) and (not built or error.kind in ("TypeError", "AttributeError")):
        return True
    return error.kind in TRIED and bool(strange(offer, slug)) and (built or offer.kind != "class")


def doubtful(outcome: Outcome, offer: Offer, slug: str) -> bool:
    """Whether what was found wrong may come from what an argument was given, of which nothing is known."""
    slugs = [found for found, _ in outcome.mistakes]
    several = len(slugs) > 1 or any(found.startswith("unknown") for found in slugs)
    return several and bool(getattr(CONTRACTS[slug].judge, "feeds", ())) and bool(strange(offer, slug))


def beyond(outcome: Outcome, code: Code) -> str:
    """What the code does that no contract has, by its names, where what came of it cannot be explained."""
    for what, words in NO_CONTRACT.items() if outcome.unexplained else ():
        if any(re.search(words, each.lower()) for each in code.names):
            return (
                f"it seems to use {what}, which no contract has, so there is nothing to compare it with; "
                f"without them, in a copy, the rest can be checked"
            )
    return ""


def strange(offer: Offer, slug: str) -> list[str]:
    """The arguments without which it cannot be called, and whose names say nothing."""
    feeds = getattr(CONTRACTS[slug].judge, "feeds", ())
    if slug in NAMED_OTHERWISE:
        return []
    return [
        each.name
        for each in _required(_called_with(offer))
        if not any(one.fits(each) for one in feeds)
        and forward_role(each.name) is None
        and each.name.lower() not in ("eps", "epsilon")
    ]


def explained(error: CodeError, aim: Target) -> str:
    """One line, but for a syntax error, which is shown as Python shows it."""
    where = f"{aim.place(error.line)}: " if error.line else ""
    match error.kind:
        case "Returned":
            return error.message
        case "SyntaxError" | "IndentationError" | "TabError":
            return error.message
        case "ModuleNotFoundError":
            return f"{where}{error.message}; install it, or check a file that does without it"
        case "TimeLimit":
            return f"{error.message}; put work such as training under if __name__ == '__main__':"
        case "NotImplementedError":
            return f"{where}not written yet{': ' + error.message if error.message else ''}"
    return f"{where}{error}"


def question(error: CodeError, offer: Offer, built: bool, slug: str, command: str) -> str:
    """What to answer, with an adapter to paste; nothing where nothing is to be asked.

    command: what to check it with, NAME standing for the adapter.
    """
    if error.kind == BEYOND:
        return f"{offer.name}: {error.message}"
    if not asks(error, offer, built, slug):
        return ""
    unknown = _unknown(offer) if not (built and strange(offer, slug)) else []
    names = strange(offer, slug) or [each.name for each in _required(_called_with(offer))]
    if unknown:
        asked = f"How is {offer.name} built? The checker does not know what {_listed(unknown)} should be."
        name, adapter = _builder(offer, slug)
    else:
        about = (
            f"what {_listed(names)} should be" if strange(offer, slug) else f"how it takes {_listed(names)}"
        )
        asked = f"How is {offer.name} called? The checker does not know {about}."
        if error.line:
            asked += f" (What it tried ended in line {error.line}: {error})"
        name, adapter = _caller(offer, slug)
    shown = "\n".join(f"    {line}" for line in adapter)
    return (
        f"{asked}\nPaste this below it, with what belongs there in place of each ...:\n\n{shown}\n\n"
        f"and check that: {command.replace('NAME', name)}"
    )


def _builder(offer: Offer, slug: str) -> tuple[str, list[str]]:
    """Name and lines of a class that fills in what the constructor asks for."""
    arguments = _required(offer.arguments)
    filled = {each.name: each.name if _size(each) else "..." for each in arguments}
    own = [each.name for each in arguments if _size(each)]
    there = {size_role(each) for each in own}
    takes = (*own, *(role for role in BUILT_WITH.get(slug, ()) if role not in there))
    name = f"My{offer.name}"
    return name, [
        f"class {name}({offer.name}):",
        f"    def __init__({', '.join(('self', *takes))}):",
        f"        super().__init__({', '.join(f'{key}={value}' for key, value in filled.items())})",
    ]


def _caller(offer: Offer, slug: str) -> tuple[str, list[str]]:
    """Name and lines of what calls it; what nothing is known of is left open."""
    arguments = _required(_called_with(offer))
    unknown = strange(offer, slug)
    known = [each.name for each in arguments if each.name not in unknown]
    takes = known or (TAKES.get(slug, ("x",)) if len(arguments) > 1 or slug != ITSELF else ("x",))
    filled = [f"{each.name}={each.name if each.name in known else '...'}" for each in arguments]
    passed = ", ".join(each if re.match(r"[^\W\d]", each) else "..." for each in filled)
    if offer.kind == "class" and offer.is_module:
        name, method = f"My{offer.name}", "forward"
    elif offer.kind == "class":
        name, method = f"My{offer.name}", "__call__"
    else:
        name = f"my_{offer.name}"
        return name, [f"def {name}({', '.join(takes)}):", f"    return {offer.name}({passed})"]
    return name, [
        f"class {name}({offer.name}):",
        f"    def {method}({', '.join(('self', *takes))}):",
        f"        return super().{method}({passed})",
    ]


def _called_with(offer: Offer) -> tuple[Argument, ...]:
    return offer.forward if offer.kind == "class" or offer.is_module else offer.arguments


def _unknown(offer: Offer) -> list[str]:
    """Arguments of the constructor whose names say nothing."""
    if offer.kind != "class":
        return []
    return [each.name for each in _required(offer.arguments) if not _size(each)]


def _required(arguments: tuple[Argument, ...]) -> list[Argument]:
    return [each for each in arguments if each.required]


def _size(argument: Argument) -> bool:
    return size_role(argument.name) is not None or argument.name.lower() in CONFIGURATIONS


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "its arguments"
