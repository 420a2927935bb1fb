"""The smallest example of each mistake, with its numbers."""


def example(slug: str) -> str:
    return ""
