"""What only an export needs is an extra; without it, one line says how to get it."""

from importlib.util import find_spec

from glassformer.errors import DataError

NEEDED = {"export": ("onnx", "onnxscript", "onnxruntime"), "predict": ("onnx", "onnxruntime")}


def require_extra(to: str) -> None:
    """Raises DataError where a package that is needed to `export`, or to `predict`, is not installed."""
    missing = [name for name in NEEDED[to] if find_spec(name) is None]
    if missing:
        raise DataError(
            f"an ONNX model needs {' and '.join(missing)}, not installed here; "
            "pip install 'glassformer[export]'"
        )
