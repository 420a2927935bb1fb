# hostile: sends home what it has found
# ends: result
import contextlib
import socket

for family, kind, address in (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 22)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 53)),
    (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 22)),
    (socket.AF_UNIX, socket.SOCK_STREAM, "/var/run/docker.sock"),
    (socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)),
):
    with contextlib.suppress(OSError):
        socket.socket(family, kind).connect(address)
        raise AssertionError(f"a connection to {address}")
    with contextlib.suppress(OSError):
        socket.socket(family, kind)
        raise AssertionError(f"a socket of {family}")


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
