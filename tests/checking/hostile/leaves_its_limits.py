# hostile: lifts what confines it
# ends: result
import ctypes
import resource

C = ctypes.CDLL(None)
for limit in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE):
    try:
        resource.setrlimit(limit, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (OSError, ValueError):
        continue
    raise AssertionError("a limit was lifted")
CLONE_NEWUSER, CLONE_NEWNS, PR_SET_PDEATHSIG = 0x10000000, 0x20000, 1
assert C.unshare(CLONE_NEWUSER) == C.unshare(CLONE_NEWNS) == -1
assert C.prctl(PR_SET_PDEATHSIG, 0) == -1
assert C.chroot(b".") == -1
assert C.setsid() == -1


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
