from collections.abc import Iterator

import pytest

from glassformer.checking.zygote import FORKS, Zygote


@pytest.fixture(scope="package")
def zygote() -> Iterator[Zygote | None]:
    if not FORKS:
        yield None
        return
    with Zygote() as found:
        yield found
