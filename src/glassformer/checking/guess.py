"""Which contract a class or function is meant for, where nobody says: by its name, then its signature."""

import re

from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.exchange import Offer
from glassformer.checking.names import forward_role, size_role
from glassformer.errors import UsageError, nearest


def contract_named(said: str) -> str:
    """The slug for what a person writes: a slug, or a title in any case.

    >>> contract_named("Multi-head attention")
    'multi-head-attention'
    """
    wanted = _bare(said)
    for slug, contract in CONTRACTS.items():
        if wanted in (_bare(slug), _bare(contract.title)):
            return slug
    raise UsageError(f"there is no contract {said!r}; {nearest(said, list(CONTRACTS))}")


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def guesses(offer: Offer) -> list[tuple[str, str]]:
    """Contracts that it may be meant for, the likeliest first, each with the reason."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", offer.name).lower().strip("_")
    found = {
        slug: "its name" for slug, each in CONTRACTS.items() if any(re.search(p, name) for p in each.names)
    }
    attentions = _attentions(offer) if "att" in name or not found else []
    if found and attentions and set(found) & set(ATTENTIONS):
        # names say attention, the signature says which
        ordered = [slug for slug in attentions if slug in found] or attentions
        rest = [slug for slug in (*found, *attentions) if slug not in ordered]
        return [(slug, "its name and signature") for slug in (*ordered, *rest)]
    if found:
        return [*found.items(), *((slug, "its signature") for slug in attentions if slug not in found)]
    if attentions == ["multi-head-attention"] and re.search("(block|layer)$", name):
        crosses = "context" in {forward_role(each.name) for each in offer.forward}
        block = "decoder-block" if crosses else "transformer-block"
        return [(slug, "its name and signature") for slug in (block, *attentions)]
    return [(slug, "its signature") for slug in attentions]


ATTENTIONS = (
    "attention",
    "parameter-free-self-attention",
    "self-attention",
    "multi-head-attention",
    "self-attention-2d",
)


def _attentions(offer: Offer) -> list[str]:
    """The contracts of attention that a signature allows."""
    takes = offer.forward if offer.kind != "function" else offer.arguments
    roles = {forward_role(each.name) for each in takes}
    three = {"query", "key", "value"} <= roles
    if offer.kind == "function":
        return ["attention"] if three else ["parameter-free-self-attention"] if roles == {"x"} else []
    if not (three or roles & {"x", "query"}):
        return []
    builds = {size_role(each.name) for each in offer.arguments if each.kind not in ("args", "kwargs")}
    if any(re.search("channel|height|width", each.name) for each in offer.arguments):
        return ["self-attention-2d", "multi-head-attention"]
    if "heads" in builds:
        return ["multi-head-attention"]
    if not builds:
        return ["parameter-free-self-attention", "attention"] if not three else ["attention"]
    return ["self-attention", "multi-head-attention"]
