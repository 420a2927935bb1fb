"""Why code could not be run, in words; and what to ask where the checker cannot find out how it is meant."""

from glassformer.checking.constructions import CONFIGURATIONS
from glassformer.checking.names import forward_role, size_role
from glassformer.checking.runner import Argument, CodeError, Offer
from glassformer.checking.targets import Target


def asks(error: CodeError, offer: Offer, built: bool) -> bool:
    """Whether the checker did not know how to build or to call it, rather than the code having failed."""
    given_wrongly = not built or error.kind in ("TypeError", "AttributeError")
    return (error.kind == "TypeError" and error.line == 0) or (given_wrongly and bool(_unknown(offer)))


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


def question(error: CodeError, offer: Offer, built: bool, slug: str) -> str:
    """What to answer, with an adapter to paste; nothing where nothing is to be asked."""
    if not asks(error, offer, built):
        return ""
    builds, calls = _required(offer.arguments), _required(offer.forward)
    unknown = _unknown(offer)
    filled = ", ".join(f"{each.name}=..." for each in builds)
    if unknown:
        function = "build_" + offer.name.lower()
        return (
            f"How is {offer.name} built? The checker does not know what {_listed(unknown)} should be.\n"
            f"Paste this into the file, fill it in, and check {function} with --as {slug}:\n\n"
            f"    def {function}(d_model, heads):\n"
            f"        return {offer.name}({filled})"
        )
    takes = calls if offer.kind == "class" else builds
    names = [each.name for each in takes]
    strange = [name for name in names if forward_role(name) is None]
    about = f"what {_listed(strange)} should be" if strange else f"how it takes {_listed(names)}"
    passed = ", ".join(f"{each}=..." for each in names)
    adapter = (
        f"    class Adapter({offer.name}):\n"
        f"        def forward(self, query, key, value):\n"
        f"            return super().forward({passed})"
        if offer.kind == "class"
        else f"    def adapter(query, key, value):\n        return {offer.name}({passed})"
    )
    return (
        f"How is {offer.name} called? The checker does not know {about}: {error.message}.\n"
        f"Paste this into the file, fill it in, and check it with --as {slug}:\n\n{adapter}"
    )


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
