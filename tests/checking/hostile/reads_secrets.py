# hostile: reads what the user keeps in the home
# ends: result
import contextlib
import os
import pwd

HOME = pwd.getpwuid(os.getuid()).pw_dir
found = []
for path in ("OUTSIDE/victim", f"{HOME}/.netrc", "/etc/shadow", "/etc/passwd"):
    with contextlib.suppress(OSError), open(path) as file:
        found.append(file.read())
for path in (HOME, "OUTSIDE"):
    with contextlib.suppress(OSError):
        found.append(os.listdir(path))
assert not found, found


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
