# hostile: runs other programs, by every way that Python has
# ends: result
import contextlib
import ctypes
import os
import subprocess
import sys

PROGRAM = [sys.executable, "-c", "open('OUTSIDE/started', 'w')"]
for start in (
    lambda: subprocess.run(PROGRAM, check=True),
    lambda: os.posix_spawn(PROGRAM[0], PROGRAM, {}),
    lambda: os.spawnv(os.P_WAIT, PROGRAM[0], PROGRAM),
    lambda: os.execv(PROGRAM[0], PROGRAM),
    lambda: ctypes.CDLL(None).fork(),
    lambda: ctypes.CDLL(None).vfork(),
):
    with contextlib.suppress(OSError):
        start()
os.system("touch OUTSIDE/started")


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
