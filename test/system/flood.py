"""Holds many half-open connections, in a process of its own so that it does
not slow the calls that are measured beside it.

stdin: one JSON object {"count": N, "kinds": [[host, port, hex of first bytes], ...]}
stdout: "held" once all are open.  Each that the server closes is opened anew;
ends when stdin does."""

import asyncio
import json
import resource
import sys


class Stuck(asyncio.Protocol):
    def __init__(self, start, lost):
        self.start, self.lost = start, lost

    def connection_made(self, transport):
        self.transport = transport
        if self.start:
            transport.write(self.start)

    def connection_lost(self, exc):
        self.lost.set()


async def hold(host, port, start, gate, opened):
    loop = asyncio.get_running_loop()
    while True:
        lost = asyncio.Event()
        async with gate:
            try:
                await loop.create_connection(lambda: Stuck(start, lost), host, port)
            except OSError:
                await asyncio.sleep(0.2)
                continue
        opened()
        await lost.wait()


async def main():
    order = json.loads(sys.stdin.readline())
    count, kinds = order["count"], order["kinds"]
    gate, left, all_open = asyncio.Semaphore(32), [count], asyncio.Event()

    def opened():
        left[0] -= 1
        if left[0] == 0:
            all_open.set()
    held = [asyncio.ensure_future(hold(kinds[n % len(kinds)][0], kinds[n % len(kinds)][1],
                                       bytes.fromhex(kinds[n % len(kinds)][2]), gate, opened))
            for n in range(count)]
    await all_open.wait()
    print("held", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in held:
        task.cancel()


hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
asyncio.run(main())
