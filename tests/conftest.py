"""Every test runs with the shapes in the annotations of glassformer.nn checked, and on one thread."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassformer.checking.zygote import Zygote

import jaxtyping

# Before any test module imports the package: the hook rewrites modules as they are imported.
jaxtyping.install_import_hook("glassformer.nn", "beartype.beartype")

from glassformer.cli import share_cores  # noqa: E402

share_cores()  # before torch is imported

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.set_num_threads(1)  # a command that a test ran may have taken more
    torch.manual_seed(20171206)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLASSFORMER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def zygote() -> Iterator["Zygote | None"]:
    """Forks the processes of the code under check."""
    from glassformer.checking.zygote import started

    with started() as found:
        yield found
