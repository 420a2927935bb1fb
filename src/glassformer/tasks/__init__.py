"""The table of tasks. One from outside is named `package.module:name`."""

from importlib import import_module

from glassformer.errors import UsageError, nearest
from glassformer.tasks.base import Task

TASKS = {
    "add": "glassformer.tasks.add:AddTask",
    "cifar10": "glassformer.tasks.cifar10:Cifar10Task",
    "copy": "glassformer.tasks.copy:CopyTask",
    "digits": "glassformer.tasks.digits:DigitsTask",
    "images": "glassformer.tasks.images:ImagesTask",
    "imdb": "glassformer.tasks.imdb:ImdbTask",
    "pairs": "glassformer.tasks.pairs:PairsTask",
    "parity": "glassformer.tasks.parity:ParityTask",
    "reverse": "glassformer.tasks.reverse:ReverseTask",
    "sort": "glassformer.tasks.sort:SortTask",
    "text": "glassformer.tasks.text:TextTask",
}

PRETRAINING = {
    "masked-imdb": "glassformer.tasks.pretraining:MaskedImdbTask",
    "masked-text": "glassformer.tasks.pretraining:MaskedTextTask",
}
"""What `glassformer pretrain` does, under the names that its runs have."""


def find_task(name: str) -> Task:
    """The task of that name. Raises UsageError where there is none."""
    where = (TASKS | PRETRAINING).get(name, name)
    module_name, separator, attribute = where.partition(":")
    if not separator:
        raise UsageError(f"there is no task {name!r}; {nearest(name, list(TASKS))}")
    try:
        task = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the task {name} cannot be loaded: {error}") from error
    # looked at before it is called: the name may come from somebody else's run folder
    if not (isinstance(task, type) and issubclass(task, Task)):
        raise UsageError(f"{name} is not a glassformer.tasks.base.Task; derive it from that class")
    return task()
