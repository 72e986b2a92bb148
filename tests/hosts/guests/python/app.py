"""Does a little of everything, and prints what error each step met."""

import encodings.idna  # noqa: F401  (getaddrinfo looks it up by name)
import os
import socket
from collections.abc import Callable

from wit_world import exports


def attempt(name: str, work: Callable[[], object]) -> None:
    try:
        work()
        print(f"{name}: ok")
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")


def write() -> None:
    with open("/data/note.txt", "w", encoding="utf-8") as note:
        note.write("note")


def read() -> None:
    with open("/data/note.txt", encoding="utf-8") as note:
        note.read()


def connect() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.settimeout(5)
        one.connect(("127.0.0.1", int(os.environ["PEER"].partition(":")[2])))


def send() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x", ("127.0.0.1", 9))


class Run(exports.Run):
    def run(self) -> None:
        print("environment:", str("PEER" in os.environ).lower())
        attempt("open", write)
        attempt("read", read)
        attempt("mkdir", lambda: os.mkdir("/data/folder"))
        attempt("stat", lambda: os.stat("/data/note.txt"))
        attempt("list", lambda: os.listdir("/data"))
        attempt("rename", lambda: os.rename("/data/note.txt", "/data/other.txt"))
        attempt("remove", lambda: os.remove("/data/other.txt"))
        attempt("rmdir", lambda: os.rmdir("/data/folder"))
        attempt("connect", connect)
        attempt("send", send)
        attempt("look up", lambda: socket.getaddrinfo("localhost", 80))
