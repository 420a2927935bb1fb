"""One forward pass, watched: which parts ran in which order, on which shapes, and what was added to what.

Modules are seen by forward hooks, tensors by a TorchDispatchMode that follows each storage from the operation
that filled it to those that read it. So a residual is found where an addition adds a tensor to what was
computed from it, whatever the classes are called. Nothing is changed: every operation runs as it would.
"""

import inspect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from glassformer.explain.labels import Call, is_known, label

ADDITIONS = ("aten::add.Tensor", "aten::add_.Tensor")
PRODUCTS = ("mm", "addmm", "bmm")
OPERATIONS = {"cat": "joined with", "add": "sum with", "mul": "product with", "matmul": "product with"}
"""Operation -> how it is told where it reads a parameter outside of any part."""
CONTAINERS = (nn.Sequential, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder,
              nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)  # fmt: skip
"""PyTorch's own modules that are shown by what is in them; the others are one part each."""


@dataclass
class Recorded:
    """A part that ran, with the numbers of this one pass.

    reads: numbers of the parts of the same container whose outputs it takes, or -1 - n for the container's
    n-th input; residuals: (first, last) numbers of the children that each goes round. start: when it began.
    """

    name: str
    kind: str
    label: str
    detail: str
    start: int
    inputs: list[tuple[int, ...]] = field(default_factory=list)
    output: tuple[int, ...] = ()
    reads: list[int] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    tied: bool = False
    children: list["Recorded"] = field(default_factory=list)
    residuals: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class _Frame:
    """A module that is running. owners: node -> the number of the child whose output it is."""

    module: nn.Module
    part: Recorded
    is_open: bool
    owners: dict[int, int]


class Recorder(TorchDispatchMode):
    """Watches one call of a model, as a context around it; `root` has the result, None if it never ran."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.root: Recorded | None = None
        self.arguments: list[str] = []
        self.names = {module: name for name, module in model.named_modules()}
        self.model = model
        self.weights = {_storage(each): name for name, each in model.named_parameters()}
        self.counted: set[str] = set()
        self.stack: list[_Frame] = []
        self.parents: list[tuple[int, ...]] = []
        self.additions: set[int] = set()
        self.times: list[int] = []
        self.clock = 0
        self.producer: dict[int, int] = {}
        self.kept: list[Any] = []  # a storage that was freed would lend its address to another
        self.pending: tuple[int, Recorded] | None = None
        self.handles: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and to guard against it would import the compiler, for seconds."""
        return False

    def __enter__(self) -> "Recorder":
        for module in self.names:
            self.handles.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            self.handles.append(module.register_forward_hook(self._leave, with_kwargs=True))
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        for handle in self.handles:
            handle.remove()
        super().__exit__(exc_type, exc_val, exc_tb)

    # modules

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.stack:
            if not self.stack[-1].is_open:
                return
        elif module is not self.model or self.root is not None:  # the first call of the model is shown
            return
        self.clock += 1
        call: Call = (args, kwargs)
        tensors = _tensors((args, kwargs))
        name, detail = label(module, call)
        part = Recorded(self.names[module], type(module).__name__, name, detail, self.clock)
        part.inputs = [tuple(each.shape) for each in tensors]
        nodes = [self._node(each) for each in tensors]
        if not self.stack:
            self.arguments = _argument_names(module, args, kwargs)
        else:
            part.reads = self._sources(self.stack[-1], nodes)
        own = {node: -1 - number for number, node in reversed(list(enumerate(nodes)))}
        self.stack.append(_Frame(module, part, _is_open(module), own))
        self.pending = None

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if not self.stack or self.stack[-1].module is not module:
            return
        frame = self.stack.pop()
        part, tensors = frame.part, _tensors(output)
        self.clock += 1
        self.pending = None
        part.output = tuple(tensors[0].shape) if tensors else ()
        here = [self.weights[_storage(each)] for each in module.parameters()]
        part.tied = bool(here) and self.counted.issuperset(here) and not part.children
        if not part.children:
            part.parameters = [name for name in dict.fromkeys(here) if name not in self.counted]
            self.counted.update(part.parameters)
        if not self.stack:
            self.root = part
            return
        if isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and not module.p):
            return
        self._append(part, [self._node(each) for each in tensors])

    def _append(self, part: Recorded, nodes: list[int]) -> None:
        frame = self.stack[-1]
        frame.part.children.append(part)
        for node in nodes:
            frame.owners[node] = len(frame.part.children) - 1

    # tensors

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.stack:
            self._record(func, args, kwargs, result)
        return result

    def _record(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        read, made = _tensors((args, kwargs)), _tensors(result)
        storages = {_storage(each) for each in read}
        before = tuple(dict.fromkeys(self._node(each) for each in read))
        writes = any(a.alias_info is not None and a.alias_info.is_write for a in func._schema.arguments)
        if not writes and made and all(_storage(each) in storages for each in made):
            self._reshaped(made[0])
            return  # a view is the same value
        node = self._new_node(before)
        for each in made:
            self.kept.append(each)
            self.producer[_storage(each)] = node
        frame = self.stack[-1]
        if not frame.is_open or not made:
            return
        name = f"{func._schema.name}.{func._schema.overload_name}"
        if name in ADDITIONS and len(read) == 2 and read[0].shape == read[1].shape:
            self.additions.add(node)
            self._look_for_residual(frame, before)
        elif weights := [each for each in read if _storage(each) in self.weights]:
            weights.sort(key=lambda each: -each.ndim)  # the matrix of a product before its bias
            names = [self.weights[_storage(each)] for each in weights]
            self._operation(frame, func, names, read, made[0], node)

    def _look_for_residual(self, frame: _Frame, operands: tuple[int, ...]) -> None:
        """An operand, or what it is a sum of, that the other one was computed from by a part here."""
        if len(operands) != 2:
            return
        children = frame.part.children
        for kept, computed in (operands, operands[::-1]):
            behind = self._ancestors(computed)
            for source in self._summands(kept):
                first = sum(child.start <= self.times[source] for child in children)
                if source in behind and first < len(children):
                    frame.part.residuals.append((first, len(children) - 1))
                    return

    def _operation(
        self, frame: _Frame, func: Any, weights: list[str], read: list[Tensor], made: Tensor, node: int
    ) -> None:
        """A function called on a parameter itself, such as an output layer tied to the embedding."""
        short = func._schema.name.split("::")[-1].rstrip("_")
        self.clock += 1
        names = list(dict.fromkeys(weights))
        told = [name.removeprefix(f"{frame.part.name}.") for name in names]  # the same in every repeat
        part = Recorded(", ".join(names), short, *_told(short, told), self.clock)
        data = [each for each in read if _storage(each) not in self.weights]
        part.reads = self._sources(frame, [self._node(each) for each in data])
        part.inputs = [tuple(each.shape) for each in data]
        if short in PRODUCTS and len(data) == 1 and part.reads:
            part.inputs = [_output_of(frame, part.reads[0])]
        part.output = tuple(made.shape)
        part.parameters = [each for each in dict.fromkeys(weights) if each not in self.counted]
        part.tied = not part.parameters
        self.counted.update(part.parameters)
        self._append(part, [node])
        self.pending = (_storage(made), part)

    def _reshaped(self, view: Tensor) -> None:
        """A product of matrices flattens its batch first; what it is seen as afterwards is its shape."""
        if self.pending is not None and self.pending[0] == _storage(view):
            self.pending[1].output = tuple(view.shape)

    def _new_node(self, before: tuple[int, ...]) -> int:
        self.clock += 1
        self.parents.append(before)
        self.times.append(self.clock)
        return len(self.parents) - 1

    def _node(self, tensor: Tensor) -> int:
        """What filled this tensor last; one that was there before the pass has a node of its own."""
        storage = _storage(tensor)
        if storage not in self.producer:
            self.kept.append(tensor)
            self.producer[storage] = self._new_node(())
            self.times[-1] = 0
        return self.producer[storage]

    def _sources(self, frame: _Frame, nodes: list[int]) -> list[int]:
        """The parts of this container, and its inputs, that these nodes come from."""
        found: list[int] = []
        for start in nodes:
            queue, seen = deque([start]), {start}
            while queue:
                node = queue.popleft()
                if node in frame.owners:
                    found.append(frame.owners[node])
                    continue
                for parent in self.parents[node]:
                    if parent not in seen:
                        seen.add(parent)
                        queue.append(parent)
        return list(dict.fromkeys(found))

    def _ancestors(self, node: int) -> set[int]:
        found, queue = set[int](), [node]
        while queue:
            for parent in self.parents[queue.pop()]:
                if parent not in found:
                    found.add(parent)
                    queue.append(parent)
        return found

    def _summands(self, node: int) -> list[int]:
        """The node, and where it is a sum, the nodes that it sums, nearest first."""
        found = [node]
        for each in found:
            if each in self.additions:
                found += [parent for parent in self.parents[each] if parent not in found]
        return found


def record(model: nn.Module, run: Callable[[], object]) -> Recorder:
    """What `run()`, which calls the model, makes it do: `root`, None where it does not call it.

    Runs in evaluation mode without gradients, and leaves the model as it was.
    """
    training = [module for module in model.modules() if module.training]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    model.eval()
    # PyTorch's own encoder layer would otherwise be one opaque kernel
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), Recorder(model) as recorder:
            run()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for module in training:
            module.training = True
    return recorder


def _is_open(module: nn.Module) -> bool:
    if isinstance(module, CONTAINERS):
        return True
    native = type(module).__module__.startswith("torch.nn.")
    return not native and not is_known(module) and any(True for _ in module.children())


def _told(operation: str, names: list[str]) -> tuple[str, str]:
    if operation == "cat" and "cls" in names[-1].split(".")[-1].lower():
        return "CLS token put first", ""
    if operation in PRODUCTS:
        return "linear", f"by the weights of {' and '.join(name.removesuffix('.weight') for name in names)}"
    plain = operation.strip("_").replace("_", " ")
    return f"{OPERATIONS.get(operation, plain)} a parameter", ", ".join(names)


def _output_of(frame: _Frame, number: int) -> tuple[int, ...]:
    """The shape of a child's output, or of an input; a product of matrices sees it flattened."""
    part = frame.part
    return part.children[number].output if number >= 0 else part.inputs[-1 - number]


def _argument_names(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """What the tensors of a call are called in the module's `forward`."""
    try:
        given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        given = {}
    named = [name for name, value in given.items() for _ in _tensors(value)]
    return named if len(named) == len(_tensors((args, kwargs))) else []


def _tensors(tree: Any) -> list[Tensor]:
    return [each for each in tree_leaves(tree) if isinstance(each, Tensor)]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
