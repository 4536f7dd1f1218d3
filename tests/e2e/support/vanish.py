"""Clients that vanish: they stay connected, and from then on their kernel drops all that comes, without an answer.

    vanish.py PORT TLS_PORT COUNT KIND…

Opens COUNT connections of each KIND, waits until the server has answered on those that expect it, and prints `ready`. At a
line on standard input it attaches a socket filter to each that lets nothing pass (so no ACK, no FIN and no RST goes out, as
if a cable had been pulled), and prints `vanished`. It ends at the next line.
"""

import ctypes
import os
import socket
import ssl
import struct
import sys

SO_ATTACH_FILTER = 26
DROP_ALL = (ctypes.c_uint8 * 8).from_buffer_copy(struct.pack("HBBI", 0x06, 0, 0, 0))  # return 0 bytes


def get(path, *fields):
    return ("GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, "".join(field + "\r\n" for field in fields))).encode()


def upgrade(path, *fields):
    return get(path, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *fields)


def frame(kind, flags, stream, body):
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def literal(index, text):
    return bytes([index, len(text)]) + text.encode()


def http2(*paths):
    """The preface, and a GET for each path."""
    bytes_ = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    for i, path in enumerate(paths):
        bytes_ += frame(1, 5, 2 * i + 1, b"\x82\x86" + literal(4, path) + literal(1, "localhost"))
    return bytes_


MASKED = b"\x00\x00\x00\x00"

# What is sent, and what of the answer is awaited (nothing: the server has no answer yet).
KINDS = {
    "sse": (get("/channels/v?stream=sse&beat=5"), b"$beat"),
    "ndjson": (get("/channels/v?stream=ndjson&beat=5"), b'"op":"beat"'),
    "raw": (get("/channels/v?stream=raw&beat=5"), b"200 OK"),
    "websocket": (upgrade("/channels/v?beat=5"), b"101 "),
    "freshet_v1": (upgrade("/events?beat=5", "Sec-WebSocket-Protocol: freshet.v1"), b"101 "),
    "half_message": (upgrade("/channels/v?beat=5") + b"\x81\xfe\x10\x00" + MASKED + b"half", b"101 "),
    "poll": (get("/channels/v?after=now&wait=5"), b""),
    "idle": (get("/healthz"), b"200 OK"),
    "half_head": (b"GET /healthz HTTP/1.1\r\nHost: loc", b""),
    "half_body": (b"POST /channels/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000, b""),
    "http2": (http2(*["/channels/v?stream=sse&beat=5"] * 5), b"$beat"),
    "http2_idle": (http2("/healthz"), b'"status"'),
    "http2_poll": (http2("/channels/v?after=now&wait=5"), b""),
    "tls": (get("/channels/v?stream=sse&beat=5"), b"$beat"),
    "half_handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""),
    "silent": (b"", b""),
}


def await_answer(conn, wanted):
    text = b""
    while wanted not in text:
        part = conn.recv(65536)
        if not part:
            raise SystemExit("the server closed: %r" % text)
        text += part


def open_one(kind, port, tls_port):
    request, wanted = KINDS[kind]
    secure = kind == "tls"
    raw = socket.create_connection(("127.0.0.1", tls_port if secure or kind == "half_handshake" else port))
    raw.settimeout(20)
    conn = raw
    if secure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        conn = context.wrap_socket(raw)
    conn.sendall(request)
    return conn, wanted


def vanish(conn):
    program = struct.pack("HP", 1, ctypes.addressof(DROP_ALL))
    conn.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def main():
    port, tls_port, count, kinds = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    conns = [open_one(kind, port, tls_port) for kind in kinds for _ in range(count)]
    for conn, wanted in conns:
        if wanted:
            await_answer(conn, wanted)
    print("ready", flush=True)
    sys.stdin.readline()
    for conn, _ in conns:
        vanish(conn)
    print("vanished", flush=True)
    sys.stdin.readline()
    os._exit(0)


main()
