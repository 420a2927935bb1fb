# hostile: a bomb of threads with small stacks
# ends: Killed, RuntimeError
import threading
import time

threading.stack_size(32768)
while True:
    threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
