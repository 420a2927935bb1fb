"""How --help describes an option. Light to import."""

from typing import Any

from tyro.conf import arg


def unset(metavar: str, meaning: str, **settings: Any) -> Any:
    """An option without a value of its own: --help calls what it takes `metavar`, and says in brackets what
    leaving it out means, "default: as in training" or "required", unless the preset has a value for it.
    """
    nothing = "None", "''"
    return arg(
        metavar=metavar,
        help_behavior_hint=lambda value: f"({meaning if value in nothing else f'default: {value}'})",
        **settings,
    )
