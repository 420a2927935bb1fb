# hostile: writes beside the checker, into the home, through links
# ends: result
import contextlib
import os
import pwd

os.symlink("OUTSIDE", "way_out")
HOME = pwd.getpwuid(os.getuid()).pw_dir
for path in (
    "OUTSIDE/written",
    "way_out/written",
    f"{HOME}/glassformer-hostile",
    "/tmp/glassformer-hostile",
    "/var/tmp/glassformer-hostile",
    "/dev/shm/glassformer-hostile",
    f"/proc/{os.getppid()}/cwd/glassformer-hostile",
):
    with contextlib.suppress(OSError), open(path, "w") as file:
        file.write("x")
for change in (
    lambda: os.link("OUTSIDE/victim", "linked"),
    lambda: os.truncate("linked", 0),
    lambda: os.rename("OUTSIDE/victim", "moved"),
    lambda: os.mkdir("OUTSIDE/made"),
    lambda: os.symlink("/", "OUTSIDE/made"),
):
    with contextlib.suppress(OSError):
        change()


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
