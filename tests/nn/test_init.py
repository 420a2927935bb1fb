import subprocess
import sys
from types import ModuleType

import jaxtyping
import pytest
import torch

import glassformer.nn as parts


@pytest.mark.parametrize("name", parts.__all__)
def test_every_exported_name_is_there(name):
    parts.PreNormBlock  # noqa: B018 - imports the submodules, each of which becomes an attribute of the package
    assert not isinstance(getattr(parts, name), ModuleType), (
        f"rename nn/{name}.py: it hides the function {name}"
    )
    assert getattr(parts, name).__name__ == name


def test_lists_are_in_step():
    assert parts.__all__ == sorted(parts.__all__)
    assert set(parts.__all__) == set(parts._MODULE_OF)
    assert set(parts.__all__) <= set(dir(parts))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        parts.Nothing  # noqa: B018


def test_importing_the_package_does_not_import_torch():
    code = "import sys, glassformer.nn; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_shapes_are_checked_in_tests():
    with pytest.raises(jaxtyping.TypeCheckError):
        parts.MeanPool()(torch.zeros(2, 3))
    with pytest.raises(jaxtyping.TypeCheckError):
        parts.MeanPool()(torch.zeros(2, 3, 5), torch.ones(2, 5, dtype=torch.bool))
