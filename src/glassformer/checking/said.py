"""What the words beside the code say of a block: where its norms are, which activation it has."""

import re

ACTIVATIONS = ("gelu", "relu", "silu", "swish", "tanh")


def said_norms(words: str) -> str | None:
    """Where the norms are by these words: "pre", "post", or None where they do not say it.

    >>> said_norms("Pre-norm block"), said_norms("norm after the sum, post-norm"), said_norms("A block")
    ('pre', 'post', None)
    """
    text = words.lower()
    pre = re.search(r"\bpre[- ]?(layer)?[- ]?norm|\bpre[- ]?ln\b|norm before (each|every|the) sub", text)
    post = re.search(r"\bpost[- ]?(layer)?[- ]?norm|\bpost[- ]?ln\b|norm after (each|every|the) sub", text)
    return None if bool(pre) == bool(post) else "pre" if pre else "post"


def said_activation(words: str) -> str | None:
    """The activation by these words: "gelu exact", "gelu-tanh", "gelu" (either), "relu", "silu", or None.

    >>> said_activation("with the exact GELU"), said_activation("ReLU, as in the paper"), said_activation("")
    ('gelu exact', 'relu', None)
    """
    text = words.lower()
    found = {name for name in ("gelu", "relu", "silu") if re.search(rf"\b{name}\b", text)}
    if re.search(r"\bswish\b", text):
        found.add("silu")
    if len(found) != 1:
        return None
    (name,) = found
    if name == "gelu" and re.search(r"exact|\berf\b", text):
        return "gelu exact"
    if name == "gelu" and re.search(r"tanh|approximat", text):
        return "gelu-tanh"
    return name


def contradicts(said: str | None, activation: str) -> bool:
    """Whether an activation is another one than the words name.

    >>> contradicts("gelu", "gelu-tanh"), contradicts("gelu exact", "gelu-tanh"), contradicts(None, "relu")
    (False, True, False)
    """
    if said is None:
        return False
    allowed = {"gelu exact": ("gelu",), "gelu": ("gelu", "gelu-tanh")}.get(said, (said,))
    return activation not in allowed


def says_padding(text: str) -> bool:
    """Whether a text, code or words, speaks of padding.

    >>> says_padding("0 is padding"), says_padding("x = F.pad(x, (1, 0))")
    (True, False)
    """
    return bool(re.search(r"padding|padded|pad_?(id|idx|token|mask)|<pad>", text.lower()))


def said_shift(words: str, argument: str) -> str | None:
    """Who shifts the target to the right: "inside" the model, the "caller", or None where nothing says it.

    >>> said_shift("tgt starts with <bos>: the caller shifts it", "tgt"), said_shift("", "labels")
    ('caller', 'inside')
    """
    text = " ".join(words.lower().split())
    caller = re.search(
        r"caller shifts|shifted by the caller|comes? shifted|(already|is) shifted"
        r"|(starts|begins) with <?(bos|sos)|<(bos|sos)> first",
        text,
    )
    inside = re.search(
        r"moved? to the right|shift(s|ed)? (here|inside|internally|it to the right)|input is made here", text
    )
    if bool(caller) != bool(inside):
        return "caller" if caller else "inside"
    return "inside" if argument.lower() in ("labels", "label") and not caller else None
