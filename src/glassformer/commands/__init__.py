"""One command a file, each with `run(words)`: reads what was typed, calls, prints, gives the exit status."""

COMMANDS = {
    "check": "say whether attention or transformer code is right, and if not, what is wrong with it",
    "tasks": "list the tasks, their models and presets",
    "show": "draw a page of a task's pictures, before and after augmentation: glassformer show TASK",
    "train": "train a model on a task: glassformer train TASK [options]",
    "pretrain": "train an encoder on texts without labels: glassformer pretrain TASK [options]",
    "inspect": "say what a published model is, and whether it runs here: glassformer inspect FOLDER",
    "evaluate": "judge a run on its test split or on another file",
    "predict": "ask a run about texts, sequences or image files",
    "explain": "look inside a run at work on one input: glassformer explain RUN INPUT",
    "compare": "train a task with options varied, several seeds each, and say which differences count",
    "tune": "search the best configuration, hopeless trials ended early: glassformer tune TASK [options]",
    "report": "write a run or a study as a paper of at most four pages: glassformer report RUN",
    "smallest": "search the smallest model that does it: glassformer smallest TASK [options]",
    "verify-board": "judge the models that a search found anew, from their weights",
    "diagram": "draw a model's architecture as it is built: glassformer diagram TASK, or RUN",
    "exercise": "skeletons of the exercise sheets, and points: glassformer exercise new SHEET DIR",
    "grade": "grade a class, a page of feedback each: glassformer grade SHEET FOLDER",
    "backprop": "a network written out in NumPy beside logistic regression, on a table of numbers",
}
"""Command -> what it does. Its file is called like it, with _ for -."""
