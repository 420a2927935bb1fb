"""glassformer tasks"""

from glassformer.commands import COMMANDS
from glassformer.errors import UsageError
from glassformer.tasks import PRETRAINING, TASKS, find_task


def run(words: list[str]) -> int:
    if words and words[0] in ("-h", "--help"):
        print("usage: glassformer tasks\n\n" + COMMANDS["tasks"])
        return 0
    if words:
        raise UsageError(f"tasks takes no options, but {words[0]!r} was given")
    for name in (*TASKS, *PRETRAINING):
        task = find_task(name)
        print(f"{name if name in TASKS else task.command(name)}: {task.summary}")
        for preset_name, preset in task.presets.items():
            model = preset.config.model.name
            default = " (default for it)" if task.preset_name(None, model) == preset_name else ""
            print(f"  --preset {preset_name}, --model.name {model}{default}")
            for line in preset.cost.strip().splitlines():
                print(f"    {line.strip()}")
    print("\na task of your own: package.module:name, a subclass of glassformer.tasks.base.Task")
    return 0
