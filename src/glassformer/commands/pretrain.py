"""glassformer pretrain TASK"""

from glassformer.commands import train
from glassformer.commands.task_options import task_options
from glassformer.errors import UsageError, nearest
from glassformer.tasks import PRETRAINING
from glassformer.tasks.masked_language import PREFIX

TASKS = [name.removeprefix(PREFIX) for name in PRETRAINING]


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            "usage: glassformer pretrain TASK [options]\n       glassformer pretrain --resume RUN\n\n"
            "Trains an encoder to guess tokens left out of texts (Devlin et al. 2019); no label is learned.\n"
            "Then: glassformer train TASK --model.pretrained RUN, and glassformer predict RUN TEXT.\n\n"
            f"tasks: {', '.join(TASKS)}\n\n"
            "  pretrain TASK --help   every option of the task, with its default\n"
            "  --resume RUN           go on with a run that was stopped, in its own configuration;\n"
            "                         --no-baselines beside it leaves the baselines out"
        )
        return 0 if words else 2
    if train.is_resume(words[0]):
        return train.resume(words)
    typed, rest = train.task_first("pretrain", words, TASKS)
    if typed not in TASKS:
        raise UsageError(f"there is no task {typed!r} to pretrain on; {nearest(typed, TASKS)}")
    name = PREFIX + typed
    options = task_options(train.TrainOptions, f"pretrain {typed}", name, rest)
    return train.begin(name, options, ["pretrain", *words])
