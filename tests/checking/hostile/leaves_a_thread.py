# hostile: a thread that goes on computing and writing between the calls
# ends: result
import threading


def work():
    number = 0
    while True:
        number += 1
        with open("log", "w") as file:
            file.write(str(number))


threading.Thread(target=work, daemon=True).start()
threading.Thread(target=work).start()


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
