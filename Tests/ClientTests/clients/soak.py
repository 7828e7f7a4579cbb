"""Many streams for a while, of clients that differ: most read to the end, some go away in the middle, some read slowly, some do not stream.
Answers are checked; at the end nothing may be in work, every KV page must be free, and memory must not have grown since the first half.

    python soak.py [--seconds 60] [--streams 200]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
import urllib.parse
from collections import Counter

import service
from service import API_KEY, MODEL, PID, URL, reference_answers, wait_until_idle

address = urllib.parse.urlsplit(URL)
REFERENCES = reference_answers(least_margin=1.0)
STORY = [{"role": "user", "content": "Tell me a story."}]
MEMORY_GROWTH = 64 << 20


class Client:
    """One HTTP/1.1 connection that asks one question after another, and opens a new one after it went away in the middle."""

    def __init__(self, seed: int, counts: Counter):
        self.rng, self.counts, self.reader, self.writer = random.Random(seed), counts, None, None

    async def run(self, end: float) -> None:
        while time.monotonic() < end:
            kind = self.rng.choices(["stream", "whole", "leave", "slow"], [60, 15, 15, 10])[0]
            try:
                await asyncio.wait_for(getattr(self, kind)(), timeout=120)
            except Exception as error:
                raise AssertionError(f"{kind}: {error!r}") from error
            self.counts[kind] += 1
        self.close()

    async def ask(self, messages: list[dict], **options) -> None:
        """Send a question and read the response's head."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(address.hostname, address.port)
        body = json.dumps({"model": MODEL, "messages": messages, "temperature": 0, **options}).encode()
        key = f"Authorization: Bearer {API_KEY}\r\n" if API_KEY else ""
        self.writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n{key}Content-Type: application/json\r\n"
                          f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 200"), head
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.length = int(fields["content-length"]) if "content-length" in fields else None
        assert self.length is not None or fields.get("transfer-encoding") == "chunked", head

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its end."""
        size = int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def body(self, pause: float = 0) -> str:
        if self.length is not None:
            return (await self.reader.readexactly(self.length)).decode()
        pieces = []
        while piece := await self.chunk():
            pieces.append(piece)
            if pause:
                await asyncio.sleep(pause)  # a slow reader's pace
        return b"".join(pieces).decode()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
            self.reader = self.writer = None

    async def stream(self, pause: float = 0) -> None:
        reference = self.rng.choice(REFERENCES)
        await self.ask(reference["messages"], stream=True)
        events = [e.removeprefix("data: ") for e in (await self.body(pause)).split("\n\n") if e.startswith("data: ")]
        assert events[-1] == "[DONE]", events[-1]
        text = "".join(json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1])
        assert text == reference["text"], (text, reference["text"])
        self.counts["tokens"] += len(reference["output_ids"])

    async def slow(self) -> None:
        await self.stream(pause=0.01)

    async def whole(self) -> None:
        reference = self.rng.choice(REFERENCES)
        await self.ask(reference["messages"])
        text = json.loads(await self.body())["choices"][0]["message"]["content"]
        assert text == reference["text"], (text, reference["text"])
        self.counts["tokens"] += len(reference["output_ids"])

    async def leave(self) -> None:
        await self.ask(STORY, stream=True, ignore_eos=True, max_tokens=1000, temperature=1.0, seed=self.rng.randrange(1 << 30))
        for _ in range(self.rng.randrange(8)):
            await self.chunk()
        self.close()


async def soak(seconds: float, streams: int) -> tuple[Counter, list[int]]:
    """What was done, and the server's memory at the middle and at the end."""
    counts, begin, memory = Counter(), time.monotonic(), []

    async def watch() -> None:
        await asyncio.sleep(seconds / 2)
        if PID:
            memory.append(service.resident_bytes())

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        for seed in range(streams):
            group.create_task(Client(seed, counts).run(begin + seconds))
    if PID:
        memory.append(service.resident_bytes())
    return counts, memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--streams", type=int, default=200)
    args = parser.parse_args()
    counts, memory = asyncio.run(soak(args.seconds, args.streams))
    print(f"{sum(counts[k] for k in ('stream', 'whole', 'slow'))} right answers with {counts['tokens']} tokens, {counts['leave']} clients left, by kind: {dict(counts)}")
    if memory:
        print(f"resident: {memory[0] >> 20} MiB in the middle, {memory[1] >> 20} MiB at the end")
        assert memory[1] - memory[0] < MEMORY_GROWTH, "memory grows"
    assert min(counts[k] for k in ("stream", "whole", "leave", "slow")) > 0 or args.seconds < 5, counts
    wait_until_idle(30)
    print("nothing is in work, all pages are free")
    return 0


if __name__ == "__main__":
    sys.exit(main())
