# hostile: reads the memory and environment of whoever started it
# ends: result
import contextlib
import ctypes
import os

PARENT = os.getppid()
for name in ("mem", "environ", "maps", "cwd", "root", "fd/0", "cmdline"):
    with contextlib.suppress(OSError), open(f"/proc/{PARENT}/{name}", "rb") as file:
        raise AssertionError((name, file.read(100)))
C = ctypes.CDLL(None)
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
assert C.ptrace(PTRACE_ATTACH, PARENT, 0, 0) == -1
assert C.ptrace(PTRACE_SEIZE, PARENT, 0, 0) == -1


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


buffer = ctypes.create_string_buffer(8)
own, other = Part(ctypes.addressof(buffer), 8), Part(id(None), 8)
assert C.process_vm_readv(PARENT, ctypes.byref(own), 1, ctypes.byref(other), 1, 0) == -1


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
