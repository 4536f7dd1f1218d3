"""A small service manager for tests: it opens sockets, starts a server with them as systemd does, and keeps them.

    activate.py '[["127.0.0.1:0", "https"], ["unix:/tmp/s", ""], ["dgram:127.0.0.1:0", ""]]' COMMAND ARGUMENT…

It reads commands: `start`, `stop` (SIGTERM, then it waits), `reload` (SIGHUP). It prints `manager: …` lines: the addresses, and
what ended how. With NOTIFY (`@name` or a path) it listens there and prints each message that the server sends as a line of JSON.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading


PR_SET_PDEATHSIG = 1


def say(text):
    os.write(1, ("manager: " + text + "\n").encode())


def open_socket(text):
    kind = socket.SOCK_STREAM
    if text.startswith("dgram:"):
        kind, text = socket.SOCK_DGRAM, text[6:]
    if text.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX, kind)
        path = text[5:]
        made.bind("\0" + path[1:] if path.startswith("@") else path)
    else:
        host, port = text.rsplit(":", 1)
        made = socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host.strip("[]"), int(port)))
    if kind == socket.SOCK_STREAM:
        made.listen(4096)
    return made


def hear(name):
    """Prints the messages to the manager."""
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind("\0" + name[1:] if name.startswith("@") else name)

    def loop():
        while True:
            say(json.dumps({"notify": heard.recv(4096).decode()}))

    threading.Thread(target=loop, daemon=True).start()


def start(sockets, names, command):
    child = os.fork()
    if child:
        return child
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for i, each in enumerate(sockets):
        os.dup2(each.fileno(), 100 + i)
    for i in range(len(sockets)):
        os.dup2(100 + i, 3 + i)
    for fd in range(3 + len(sockets), 100 + len(sockets)):
        try:
            os.close(fd)
        except OSError:
            pass
    env = dict(os.environ)
    if sockets:
        env.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=":".join(names))
    if env.get("NOTIFY"):
        env["NOTIFY_SOCKET"] = env["NOTIFY"]
    if env.get("WATCHDOG_USEC"):
        env["WATCHDOG_PID"] = str(os.getpid())
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvpe(command[0], command, env)


def main():
    wanted, command = json.loads(sys.argv[1]), sys.argv[2:]
    sockets = [open_socket(text) for text, _ in wanted]
    names = [name for _, name in wanted]
    say(json.dumps({"addresses": [each.getsockname()[1] if isinstance(each.getsockname(), tuple) else 0 for each in sockets]}))
    if os.environ.get("NOTIFY"):
        hear(os.environ["NOTIFY"])
    child = 0
    for line in sys.stdin:
        line = line.strip()
        if line == "start":
            child = start(sockets, names, command)
            say(json.dumps({"pid": child}))
        elif line == "reload":
            os.kill(child, signal.SIGHUP)
        elif line in ("stop", "wait"):
            if line == "stop":
                os.kill(child, signal.SIGTERM)
            _, status = os.waitpid(child, 0)
            child = 0
            say(json.dumps({"ended": os.waitstatus_to_exitcode(status)}))
    if child:
        os.kill(child, signal.SIGKILL)


main()
