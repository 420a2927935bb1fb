# hostile: stops time for whoever measures it
# ends: TimeLimit
import time

time.time = time.monotonic = time.perf_counter = time.process_time = lambda: 0.0
time.sleep = lambda seconds: None


def attention(query, key, value):
    while True:
        pass
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
