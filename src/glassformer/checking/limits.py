"""Takes from this process what attention needs none of: files of others, other processes, the network.

`confine` is called once, before any of the code under check is loaded, and cannot be undone. On Linux the
kernel holds the limits: resource limits, a filter of system calls (seccomp) and rules for files (Landlock).
Where one of the last two is missing, a hook of Python refuses the same things, which code that calls into C
gets past.

None of it keeps code from reading the libraries, its own folder and `readable`, from computing wrong results,
or from writing any bytes to the descriptors that the process has.
"""

import ctypes
import errno
import math
import os
import platform
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

DESCRIPTORS = 128

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAP_DAC_READ_SEARCH = 2
"""Kept where it is held: root in a container reads a user's folder by it."""

# (x86_64, aarch64); None where the architecture has no such call
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    # the network, and sockets of this machine; a pair of sockets of one's own is harmless
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242),
    # signals to others, their memory and their descriptors
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "kcmp": (312, 272),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
    # the priority of others
    "setpriority": (141, 140), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "sched_setaffinity": (203, 122), "ioprio_set": (251, 30),
    # what Landlock leaves open of files: their modes, owners, times and attributes
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # memory and messages that no limit counts
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # the rest of the system, and the parts of the kernel that most often had holes
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "open_tree_attr": (467, 467), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "setns": (308, 268), "unshare": (272, 97), "bpf": (321, 280), "perf_event_open": (298, 241),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "userfaultfd": (323, 282), "fanotify_init": (300, 262), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "acct": (163, 89), "reboot": (169, 142), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "swapon": (167, 224),
    "swapoff": (168, 225), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162), "syslog": (103, 116),
    "vhangup": (153, 58), "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None),
    "personality": (135, 92), "uselib": (134, None),
}  # fmt: skip
# allowed or not by an argument, so with a check of their own in `_filter`
CLONE, CLONE3, KILL, TGKILL = (56, 220), (435, 435), (62, 129), (234, 131)
PRLIMIT64, PRCTL, IOCTL, FCNTL = (302, 261), (157, 167), (16, 29), (72, 25)
SECCOMP = (317, 277)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
CLONE_THREAD = 0x10000
F_SETOWN, F_SETSIG, F_SETOWN_EX = 8, 10, 15
TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP = 0x5412, 0x541C, 0x8901, 0x8902

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
READ_FILE, READ_DIR, WRITE_FILE, TRUNCATE = 1 << 2, 1 << 3, 1 << 1, 1 << 14
FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: TRUNCATE, 5: 1 << 15}
"""What each version of Landlock's interface has added: all of them are handled, so refused unless granted."""
EXECUTE = 1 << 0
NETWORK_RIGHTS = 0b11
SCOPES = 0b11
"""Abstract sockets and signals: none to whoever is outside."""


def confine(
    folder: str, memory_bytes: int, cpu_seconds: int, file_bytes: int, readable: Sequence[str] = ()
) -> dict[str, bool]:
    """Says of each measure whether it took hold.

    folder: the only place to write. memory_bytes: on top of what the process has now, which is mostly torch's
    libraries. file_bytes: of one file. readable: folders beside those of Python and the system.
    """
    linux = sys.platform == "linux"
    spent = math.ceil(time.thread_time())
    held = {
        "memory": _limited_memory(memory_bytes),
        "cpu time": _limited("RLIMIT_CPU", spent + cpu_seconds, spent + cpu_seconds + 1),
        "file size": _limited("RLIMIT_FSIZE", file_bytes),
        "descriptors": _limited("RLIMIT_NOFILE", DESCRIPTORS),
        "no core dump": _limited("RLIMIT_CORE", 0),
    }
    if hasattr(signal, "SIGXFSZ"):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that is too large is an OSError
    kernel = _Kernel() if linux else None
    held["no new privileges"] = bool(kernel and kernel.no_new_privileges())
    held["capabilities"] = bool(kernel and kernel.drop_capabilities())
    held["landlock"] = bool(kernel and kernel.landlock(folder, [*_libraries(), *readable]))
    held["seccomp"] = bool(kernel and kernel.seccomp())
    held["audit hook"] = not (held["landlock"] and held["seccomp"])
    if held["audit hook"]:
        sys.addaudithook(refusals(folder))
    return held


def _limited(name: str, soft: int, hard: int | None = None) -> bool:
    try:
        import resource

        number = getattr(resource, name)
        most = resource.getrlimit(number)[1]
        wanted = [soft, soft if hard is None else hard]
        if most != resource.RLIM_INFINITY:
            wanted = [min(each, most) for each in wanted]
        resource.setrlimit(number, (wanted[0], wanted[1]))
    except (ImportError, AttributeError, ValueError, OSError):
        return False
    return True


def _limited_memory(more: int) -> bool:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # no Linux; macOS accepts the limit and does not hold it
        return False
    return _limited("RLIMIT_AS", pages * os.sysconf("SC_PAGE_SIZE") + more)


def _libraries() -> list[str]:
    """Where Python, its packages and the system's libraries lie, and the few files that they read."""
    own = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path}
    system = (
        "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/nix/store", "/dev/zero",
        "/dev/urandom", "/dev/random", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
        "/sys/devices/system",
    )  # fmt: skip
    return [*sorted(each for each in own if os.path.isabs(each)), *system]


class _Kernel:
    """Linux, through the system calls for which Python has no names."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._library.syscall.restype = ctypes.c_long

    def _call(self, number: int, *arguments: Any) -> int:
        result = self._library.syscall(
            ctypes.c_long(number),
            *(ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments),
        )
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    def _prctl(self, option: int, argument: int) -> bool:
        zero = ctypes.c_ulong(0)
        return self._library.prctl(option, ctypes.c_ulong(argument), zero, zero, zero) == 0

    def no_new_privileges(self) -> bool:
        """Nothing that is executed gains rights; and without it neither of the next two is to be had."""
        return self._prctl(PR_SET_NO_NEW_PRIVS, 1)

    def drop_capabilities(self) -> bool:
        """Root becomes a user whose number happens to be 0."""
        for capability in range(64):
            if capability != CAP_DAC_READ_SEARCH:
                self._prctl(PR_CAPBSET_DROP, capability)
        # version 3 of the call: two words each of effective, permitted and inheritable
        header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0), 8)
        data = ctypes.create_string_buffer(24)
        if self._library.capget(header, data) != 0:
            return False
        words = list(struct.unpack("=6I", data.raw))
        kept = words[1] & 1 << CAP_DAC_READ_SEARCH
        data = ctypes.create_string_buffer(struct.pack("=6I", kept, kept, 0, 0, 0, 0), 24)
        return self._library.capset(header, data) == 0

    def landlock(self, folder: str, readable: Iterable[str]) -> bool:
        """Everything on files is refused but reading beneath `readable`, and all but executing in `folder`.

        Also nothing outside may then be traced, so that its memory and environment in /proc are closed.
        """
        try:
            version = self._call(LANDLOCK_CREATE, ctypes.c_void_p(None), 0, 1)
        except OSError:  # no such call, or switched off at boot
            return False
        handled = sum(rights for since, rights in FILE_RIGHTS.items() if version >= since)
        # fields that an older kernel does not know must be zero, then it takes the longer structure
        network, scopes = NETWORK_RIGHTS if version >= 4 else 0, SCOPES if version >= 6 else 0
        attributes = ctypes.create_string_buffer(struct.pack("=QQQ", handled, network, scopes), 24)
        try:
            rules = self._call(LANDLOCK_CREATE, attributes, 24, 0)
        except OSError:
            return False
        try:
            for path in readable:
                self._grant(rules, path, READ_FILE | READ_DIR)
            self._grant(rules, "/dev/null", handled & (READ_FILE | WRITE_FILE | TRUNCATE))
            if not self._grant(rules, folder, handled & ~EXECUTE):
                return False
            self._call(LANDLOCK_RESTRICT, rules, 0)
        except OSError:
            return False
        finally:
            os.close(rules)
        return True

    def _grant(self, rules: int, path: str, rights: int) -> bool:
        try:
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            if not os.path.isdir(path):
                rights &= ~READ_DIR  # refused for a file
            rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, beneath), 12)
            self._call(LANDLOCK_ADD, rules, 1, rule, 0)
        finally:
            os.close(beneath)
        return True

    def seccomp(self) -> bool:
        """The filter, for all threads that there are and will be."""
        if platform.machine() not in ARCHITECTURES or sys.maxsize < 2**32:
            return False
        column, audit = ARCHITECTURES[platform.machine()]
        code = b"".join(_filter(column, audit, os.getpid()))
        program = ctypes.create_string_buffer(code, len(code))
        pointer = ctypes.create_string_buffer(
            struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(program)), 16
        )
        try:
            # mode: a filter; flag: synchronise the threads
            return self._call(SECCOMP[column], 1, 1, pointer) == 0
        except OSError:
            return False


def _filter(column: int, audit: int, pid: int) -> list[bytes]:
    """The instructions, in the kernel's small language: load a word, compare it, jump, return a decision."""
    load, jump_equal, jump_greater_equal, jump_bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill = 0x7FFF0000, 0x80000000
    refuse, unknown = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
    number_at, audit_at = 0, 4

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("=HBBI", code, then, otherwise, value)

    def argument(place: int) -> bytes:
        return step(load, 16 + 8 * place)  # its lower half, as the kernel reads an int

    def checked(call: tuple[int, int], place: int, *tests: bytes) -> list[bytes]:
        body = [argument(place), *tests]
        return [step(jump_equal, call[column], 0, len(body)), *body]

    def only(call: tuple[int, int], *values: int) -> list[bytes]:
        """Allowed where the first argument is one of these."""
        tests = [each for value in values for each in (step(jump_equal, value, 0, 1), step(give, allow))]
        return checked(call, 0, *tests, step(give, refuse))

    def never(call: tuple[int, int], place: int, *values: int) -> list[bytes]:
        """Refused where the argument is one of these."""
        tests = [each for value in values for each in (step(jump_equal, value, 0, 1), step(give, refuse))]
        return checked(call, place, *tests, step(give, allow))

    program = [
        step(load, audit_at),
        step(jump_equal, audit, 1, 0),
        step(give, kill),  # the calls of another architecture have other numbers
        step(load, number_at),
    ]
    if column == 0:  # and so have those of x32
        program += [step(jump_greater_equal, 0x40000000, 0, 1), step(give, refuse)]
    # unknown: glibc then makes its threads by clone, whose flags can be looked at
    program += [step(jump_equal, CLONE3[column], 0, 1), step(give, unknown)]
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            program += [step(jump_equal, numbers[column] or 0, 0, 1), step(give, refuse)]
    program += checked(CLONE, 0, step(jump_bits, CLONE_THREAD, 0, 1), step(give, allow), step(give, refuse))
    program += only(KILL, pid)
    program += only(TGKILL, pid)
    program += only(PRLIMIT64, 0, pid)
    program += never(PRCTL, 0, PR_SET_PDEATHSIG)
    program += never(IOCTL, 1, TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP)
    program += never(FCNTL, 1, F_SETOWN, F_SETSIG, F_SETOWN_EX)
    return [*program, step(give, allow)]


WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (
    "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile",
    "pty.spawn", "os.kill", "os.chmod", "os.chown", "os.chflags", "os.utime", "os.setxattr", "os.removexattr",
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostby", "sqlite3.connect", "winreg.", "_winapi.", "ctypes.",
)  # fmt: skip
CHANGES_PATHS = {
    "os.remove": (0,), "os.rmdir": (0,), "os.mkdir": (0,), "os.truncate": (0,), "os.rename": (0, 1),
    "os.symlink": (1,), "os.link": (0, 1),
}  # fmt: skip
"""Event -> the places of the paths that it changes; a link lets its source be changed."""


def refusals(folder: str) -> Callable[[str, tuple[Any, ...]], None]:
    """A hook of Python's that refuses what the kernel should. It holds its tools, lest they are replaced."""
    inside = os.path.realpath(folder)

    def refuse(
        event: str,
        arguments: tuple[Any, ...],
        *,
        real: Callable[[Any], Any] = os.path.realpath,
        decode: Callable[[Any], str] = os.fsdecode,
        forbidden: tuple[str, ...] = FORBIDDEN,
        changes: tuple[tuple[str, tuple[int, ...]], ...] = tuple(CHANGES_PATHS.items()),
        writing: int = WRITING,
        within: tuple[str, str] = (inside, inside + os.sep),
        nothing: str = os.devnull,
    ) -> None:
        if event.startswith(forbidden):
            raise PermissionError(errno.EPERM, f"{event} is refused to code under check")
        paths: list[Any] = []
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & writing:
            paths = [arguments[0]]
        for name, places in changes:
            if event == name:
                paths = [arguments[place] for place in places]
                # a path that starts at an open folder is refused: where that is cannot be told
                if arguments[-1] not in (-1, None) and event != "os.truncate":
                    paths = [os.sep]
        for path in paths:
            if isinstance(path, int):  # a descriptor that is open already
                continue
            where = real(decode(path))
            if where not in (nothing, within[0]) and not where.startswith(within[1]):
                raise PermissionError(errno.EPERM, "code under check writes only in its own folder", where)

    return refuse
