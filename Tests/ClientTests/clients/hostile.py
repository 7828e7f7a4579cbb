"""Clients that mean harm or know no better, over raw sockets, against the server in clear text. Each attack must end in a refusal or a closed
connection within the server's limits; after each the server answers a normal request, and at the end it holds no more memory, descriptors or
work than before.

Start the server with short limits: gateway.header_timeout=1 gateway.body_timeout=2 gateway.idle_timeout=3 gateway.write_timeout=2
gateway.max_body=1MiB, and tell this script with FERRY_HEADER_TIMEOUT, FERRY_BODY_TIMEOUT, FERRY_IDLE_TIMEOUT, FERRY_WRITE_TIMEOUT (seconds)
and FERRY_MAX_BODY (bytes).

    python hostile.py [WORD ...]     only the attacks whose names contain a word
"""

from __future__ import annotations

import itertools
import json
import os
import select
import socket
import struct
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable

import service
from service import API_KEY, PID, URL, wait_until_idle

HEADER_TIMEOUT = float(os.environ.get("FERRY_HEADER_TIMEOUT", "1"))
BODY_TIMEOUT = float(os.environ.get("FERRY_BODY_TIMEOUT", "2"))
IDLE_TIMEOUT = float(os.environ.get("FERRY_IDLE_TIMEOUT", "3"))
WRITE_TIMEOUT = float(os.environ.get("FERRY_WRITE_TIMEOUT", "2"))
MAX_BODY = int(os.environ.get("FERRY_MAX_BODY", str(1 << 20)))
PATIENCE = 20.0  # beyond a limit of the server: a loaded machine may be late, an unlimited server is later
MEMORY_GROWTH = 48 << 20  # what may stay: allocator caches, not 10 MB bodies or floods

address = urllib.parse.urlsplit(URL)
AUTHORIZATION = f"Authorization: Bearer {API_KEY}\r\n" if API_KEY else ""
POST = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n{AUTHORIZATION}"
SUM = json.dumps({"messages": [{"role": "user", "content": "What is 347 + 285?"}], "temperature": 0}).encode()


def connect() -> socket.socket:
    sock = socket.create_connection((address.hostname, address.port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def still_serves() -> None:
    request = urllib.request.Request(f"{URL}/v1/chat/completions", SUM, {"content-type": "application/json"})
    if API_KEY:
        request.add_header("authorization", f"Bearer {API_KEY}")
    with urllib.request.urlopen(request, timeout=60) as response:
        assert "632" in json.load(response)["choices"][0]["message"]["content"]


def send(sock: socket.socket, data: bytes) -> bool:
    """False if the peer has ended the connection."""
    try:
        sock.sendall(data)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def read_to_end(sock: socket.socket, seconds: float = PATIENCE) -> bytes:
    """Everything until the peer closes. An error if it does not within `seconds`."""
    deadline, data = time.monotonic() + seconds, b""
    while True:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        except TimeoutError:
            raise AssertionError(f"the connection is still open after {seconds} s; received so far: {data[:200]!r}") from None
        if not piece:
            return data
        data += piece


def exchange(data: bytes) -> bytes:
    """Send, and read one HTTP/1.1 response or until the end of the connection."""
    with connect() as sock:
        send(sock, data)
        return read_response(sock)


def read_response(sock: socket.socket) -> bytes:
    data = b""
    while True:
        head, separator, body = data.partition(b"\r\n\r\n")
        if separator:
            lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            if lengths and len(body) >= lengths[0]:
                return data
        try:
            piece = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not piece:
            return data
        data += piece


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1]) if response.startswith(b"HTTP/1.1 ") else 0


def expect_status(response: bytes, *wanted: int) -> None:
    assert status(response) in wanted, f"{wanted} was expected, found {response[:300]!r}"


# HTTP/1.1


def check_slow_heads_are_cut_off_even_when_they_trickle():
    still, dripping = [connect() for _ in range(30)], [connect() for _ in range(30)]
    for sock in still + dripping:
        send(sock, b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    begin = time.monotonic()
    open_ones = set(dripping)
    while open_ones:
        assert time.monotonic() < begin + HEADER_TIMEOUT + PATIENCE, f"{len(open_ones)} trickling connections are still served"
        ready, _, _ = select.select(list(open_ones), [], [], 0.2)  # the drip's pace
        for sock in ready:
            try:
                if not sock.recv(4096):
                    open_ones.discard(sock)
            except ConnectionResetError:
                open_ones.discard(sock)
        for sock in list(open_ones):
            if not send(sock, b"a"):
                open_ones.discard(sock)
    for sock in still:
        response = read_to_end(sock, HEADER_TIMEOUT + PATIENCE)
        assert response == b"" or status(response) == 408, response[:200]
    for sock in still + dripping:
        sock.close()


def check_slow_bodies_are_cut_off():
    with connect() as sock:
        send(sock, (POST + "Content-Length: 1000\r\n\r\n{").encode())
        response = read_to_end(sock, BODY_TIMEOUT + PATIENCE)
        assert response == b"" or status(response) == 408, response[:200]


def check_silent_connections_are_closed():
    with connect() as sock:
        assert status(read_to_end(sock, max(HEADER_TIMEOUT, IDLE_TIMEOUT) + PATIENCE)) in (0, 408)
    with connect() as sock:  # after an exchange
        send(sock, f"GET /no-such-path HTTP/1.1\r\nHost: a\r\n{AUTHORIZATION}\r\n".encode())
        expect_status(read_to_end(sock, IDLE_TIMEOUT + PATIENCE), 404, 401)


def check_too_many_or_too_long_fields_are_refused():
    many = "".join(f"X-Field-{i}: value\r\n" for i in range(5000))
    expect_status(exchange((POST + many + "\r\n").encode()), 431)
    expect_status(exchange((POST + "X-Long: " + "a" * (1 << 20) + "\r\n\r\n").encode()), 431, 0)
    expect_status(exchange(b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: a\r\n\r\n"), 414, 0)


def check_endless_fields_are_cut_off():
    with connect() as sock:
        send(sock, POST.encode())
        sent = 0
        while send(sock, b"X-Field: " + b"a" * 1000 + b"\r\n"):
            sent += 1011
            assert sent < 16 << 20, "the server reads fields without end"


def check_too_large_bodies_are_refused_without_being_kept():
    size = 10 << 20
    assert size > MAX_BODY
    with connect() as sock:  # announced: refused at once, before the body
        send(sock, (POST + f"Content-Length: {size}\r\n\r\n").encode())
        expect_status(read_response(sock), 413)
    with connect() as sock:  # announced and sent all the same
        send(sock, (POST + f"Content-Length: {size}\r\n\r\n").encode())
        send(sock, b" " * size)
        response = read_response(sock)
        expect_status(response, 413, 0)
    with connect() as sock:  # not announced
        send(sock, (POST + "Transfer-Encoding: chunked\r\n\r\n").encode())
        for _ in range(size >> 16):
            if not send(sock, b"10000\r\n" + b" " * 65536 + b"\r\n"):
                break
        expect_status(read_response(sock), 413, 0)


def post(body: bytes) -> bytes:
    return exchange((POST + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)


def check_malformed_json_is_refused():
    bodies = [
        b"[" * 200_000, b'{"a":' * 100_000, b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", b"\x00", b"nul", b'{"a":1}{"b":2}',
        b'{"messages":[{"role":"user","content":"\xff\xfe"}]}', b'{"messages":[{"role":"user","content":"\xc0\x80"}]}',
        b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}', b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"role":"user","content":"a\nb"}]}', b'{"max_tokens":' + b"9" * 100_000 + b"}", b'{"temperature":1e999,"messages":[]}',
        b'{"messages":[{"role":"user","content":"x"}],"stop":[' + b'"a",' * 100_000 + b'"a"]}', b'"text"', b"[]", b"true",
        b'{"messages":[{"role":"user","content":"x"}],"logit_bias":{"999999999999":1}}', b'{"messages":[{"role":"user","content":"x"}],"n":1000000}',
    ]
    for body in bodies:
        response = post(body)
        expect_status(response, 400)
        error = json.loads(response.partition(b"\r\n\r\n")[2])["error"]
        assert error["message"] and error["code"], error


def check_ambiguous_framing_is_refused():
    chunked = "Transfer-Encoding: chunked\r\n"
    for fields in (
        "Content-Length: 5\r\n" + chunked, chunked + "Content-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5, 6\r\n",
        "Content-Length: -5\r\n", "Content-Length: +5\r\n", "Content-Length: 0x5\r\n", "Content-Length: 99999999999999999999\r\n", "Content-Length : 5\r\n",
        "Transfer-Encoding: chunked, gzip\r\n", "Transfer-Encoding: xchunked\r\n", "X-Folded: a\r\n b\r\nContent-Length: 5\r\n", "X-Null: a\x00b\r\n", ": empty\r\n",
    ):
        response = exchange((POST + fields + "\r\nhello").encode())
        assert 400 <= status(response) < 500 or status(response) == 501, f"{fields!r}: {response[:200]!r}"
    for chunk in (b"zz\r\n", b"5\nhello\n0\n\n", b"ffffffffffffffffff\r\n", b"5 \r\nhello\r\n", b"-5\r\n", b"5\r\nhelloX\r\n"):
        response = exchange((POST + chunked + "\r\n").encode() + chunk)
        assert 400 <= status(response) < 500, f"{chunk!r}: {response[:200]!r}"
    for head in (b"GET /v1/models HTTP/1.1\r\n\r\n", b"GET  /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /v1/models HTTP/9.9\r\nHost: a\r\n\r\n",
                 b"G@T /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
        response = exchange(head)
        assert 400 <= status(response) < 600, f"{head!r}: {response[:200]!r}"


def check_bytes_of_other_protocols_are_refused():
    for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506), bytes(64), b"\xff" * 64, b"SSH-2.0-OpenSSH_9.2\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"):
        with connect() as sock:
            send(sock, data)
            read_to_end(sock, max(HEADER_TIMEOUT, IDLE_TIMEOUT) + PATIENCE)


def check_a_client_that_never_reads_is_dropped():
    body = json.dumps({"messages": [{"role": "user", "content": "Tell me a story."}], "stream": True, "ignore_eos": True, "max_tokens": 1500,
                       "logprobs": True, "top_logprobs": 20}).encode()
    sockets = []
    for _ in range(4):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(PATIENCE)
        sock.connect((address.hostname, address.port))
        send(sock, (POST + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        sockets.append(sock)
    wait_until_idle(WRITE_TIMEOUT + 60)
    for sock in sockets:
        sock.close()


def check_connections_that_vanish_leave_nothing():
    body = json.dumps({"messages": [{"role": "user", "content": "Tell me a story."}], "stream": True, "ignore_eos": True, "max_tokens": 1500}).encode()
    whole = (POST + f"Content-Length: {len(body)}\r\n\r\n").encode() + body
    for cut in range(0, len(whole) + 1, 7):
        sock = connect()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
        send(sock, whole[: len(whole) if cut + 7 > len(whole) else cut])
        sock.close()
    wait_until_idle()


# HTTP/2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name: str, value: str) -> bytes:
    """HPACK: a literal that is not indexed, lengths below 127."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def fields(method: str, path: str) -> bytes:
    block = field(":method", method) + field(":scheme", "http") + field(":path", path) + field(":authority", "a")
    return block + (field("authorization", f"Bearer {API_KEY}") if API_KEY else b"")


GET = fields("GET", "/v1/models")


def open_http2() -> socket.socket:
    sock = connect()
    send(sock, PREFACE + frame(SETTINGS, 0, 0))
    return sock


def is_cut_off(sock: socket.socket, blocks: Iterable[bytes]) -> bool:
    """Send the blocks, reading what comes. True if the server ends the connection or says GOAWAY, False if it has taken all and is calm."""
    sock.setblocking(False)
    source, received, waiting, exhausted = iter(blocks), b"", b"", False
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not waiting and not exhausted:
            waiting = b"".join(itertools.islice(source, 64))
            exhausted = not waiting
        readable, writable, _ = select.select([sock], [sock] if waiting else [], [], 1.0)
        try:
            if writable:
                waiting = waiting[sock.send(waiting) :]
            if readable:
                piece = sock.recv(1 << 16)
                if not piece:
                    return True
                received += piece
                while len(received) >= 9 and len(received) >= 9 + int.from_bytes(received[:3], "big"):
                    if received[3] == GOAWAY:
                        return True
                    received = received[9 + int.from_bytes(received[:3], "big") :]
        except (BrokenPipeError, ConnectionResetError):
            return True
        if exhausted and not readable:
            return False
    raise AssertionError("the server neither took nor refused the flood within 60 s")


def check_rapid_resets_are_bounded():
    opened_and_reset = (frame(HEADERS, END_HEADERS | END_STREAM, s, GET) + frame(RST_STREAM, 0, s, struct.pack(">I", 8)) for s in range(1, 40_001, 2))
    with open_http2() as sock:
        assert is_cut_off(sock, opened_and_reset), "20000 streams were opened and reset on one connection"


def check_continuation_floods_are_cut_off():
    with open_http2() as sock:
        send(sock, frame(HEADERS, END_STREAM, 1, GET))
        assert is_cut_off(sock, itertools.repeat(frame(CONTINUATION, 0, 1, field("x", "y" * 100)), 20_000))
    with open_http2() as sock:
        send(sock, frame(HEADERS, END_STREAM, 1, GET))
        assert is_cut_off(sock, itertools.repeat(frame(CONTINUATION, 0, 1), 20_000)), "empty ones"


def check_other_frame_floods_are_bounded():
    for name, data in (
        ("SETTINGS", frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535))), ("PRIORITY", frame(PRIORITY, 0, 1, bytes(5))),
        ("unknown", frame(0x42, 0, 0, b"x")), ("empty DATA", frame(DATA, 0, 1)),
    ):
        with open_http2() as sock:
            if name == "empty DATA":
                send(sock, frame(HEADERS, END_HEADERS, 1, fields("POST", "/v1/chat/completions")))
            assert is_cut_off(sock, itertools.repeat(data, 50_000)), f"50000 {name} frames were taken"


def check_unread_ping_answers_are_bounded():
    with open_http2() as sock:
        sock.settimeout(0.5)
        data, sent = frame(PING, 0, 0, bytes(8)) * 1000, 0
        try:
            while sent < 64 << 20:
                sock.sendall(data)
                sent += len(data)
        except OSError:  # closed, or no longer read
            return
        raise AssertionError("64 MiB of PING were taken without their answers being read")


def check_broken_frames_end_the_connection():
    for name, data in (
        ("oversized", frame(DATA, 0, 1, bytes(20_000))), ("DATA on stream 0", frame(DATA, 0, 0, b"x")), ("HEADERS on an even stream", frame(HEADERS, 5, 2, GET)),
        ("HEADERS on stream 0", frame(HEADERS, 5, 0, GET)), ("short SETTINGS", frame(SETTINGS, 0, 0, b"xxx")), ("short PING", frame(PING, 0, 0, b"xxx")),
        ("WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, bytes(4))), ("HPACK index of nothing", frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\x0f")),
        ("lone CONTINUATION", frame(CONTINUATION, 4, 1, GET)), ("window overflow", frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2),
    ):
        with open_http2() as sock:
            assert is_cut_off(sock, [data]), f"{name} was taken"


def check_slow_http2_clients_are_cut_off():
    with connect() as sock:
        send(sock, PREFACE[:10])
        read_to_end(sock, max(HEADER_TIMEOUT, IDLE_TIMEOUT) + PATIENCE)
    with open_http2() as sock:  # a stream whose head never ends
        send(sock, frame(HEADERS, 0, 1, GET))
        read_to_end(sock, max(HEADER_TIMEOUT, IDLE_TIMEOUT) + PATIENCE)
    with open_http2() as sock:  # idle
        read_to_end(sock, IDLE_TIMEOUT + PATIENCE)


def check_streams_without_window_are_dropped():
    body = json.dumps({"messages": [{"role": "user", "content": "Tell me a story."}], "stream": True, "ignore_eos": True, "max_tokens": 1500}).encode()
    with connect() as sock:
        send(sock, PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))  # initial window 0
        for stream in range(1, 17, 2):
            send(sock, frame(HEADERS, END_HEADERS, stream, fields("POST", "/v1/chat/completions")) + frame(DATA, END_STREAM, stream, body))
        wait_until_idle(WRITE_TIMEOUT + 60)


def after_each(check):
    def run() -> None:
        check()
        still_serves()
        wait_until_idle()
    return run


ATTACKS = {name: after_each(f) for name, f in list(globals().items()) if name.startswith("check_")}


def check_nothing_is_left_behind():
    """All attacks once more: memory and descriptors stay where the first round left them."""
    if not PID:
        return
    before, descriptors = service.resident_bytes(), service.open_descriptors()
    for name, attack in ATTACKS.items():
        if "slow" not in name and "silent" not in name:
            attack()
    grown = service.resident_bytes() - before
    print(f"      resident {before >> 20} MiB, grown by {grown / (1 << 20):.1f} MiB; descriptors {descriptors}, then {service.open_descriptors()}")
    assert grown < MEMORY_GROWTH, f"grown by {grown} bytes"
    deadline = time.monotonic() + IDLE_TIMEOUT + PATIENCE
    while service.open_descriptors() > descriptors:
        assert time.monotonic() < deadline, f"{service.open_descriptors()} descriptors, {descriptors} before"
        time.sleep(0.05)  # the pace of asking


if __name__ == "__main__":
    still_serves()
    service.run({**ATTACKS, "check_nothing_is_left_behind": check_nothing_is_left_behind})
