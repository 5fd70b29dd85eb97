"""Slow readers on either side: nothing lost, nothing reordered, nobody cut off.

An upstream stops reading for a while.  What fits the edge's bound for one peer
waits there; what does not is refused with 503 and Retry-After, never dropped
in silence, and a refused request has not reached the upstream.  Whatever is
accepted arrives whole, once and in order, and every client stays connected.

VIADUCT_SATURATION_SECONDS makes the same run for longer (default: one pause)."""

import asyncio
import hashlib
import os
import signal
import time

import pytest

import sipkit
from scripts import Doors
from sipkit import STREAMS, Call, Client, Uas

SECONDS = float(os.environ.get("VIADUCT_SATURATION_SECONDS", "0"))
PAUSE = 1.0
BODY = 4000
# clients, requests of each, may some be refused; the bound for one peer is 1 MiB
CROWD = {"few": (4, 50, False), "many": (50, 4, False),
         "few-beyond": (4, 500, True), "many-beyond": (50, 40, True)}
REFUSED = {503}


@pytest.fixture(scope="module")
def doors():
    return Doors(versions=(None, "v2"))


@pytest.fixture(scope="module")
def edge(doors, certs, edges):
    return edges(doors.config(certs), "saturation")


def body_of(call_id, cseq):
    """Text that only this request can have."""
    seed = hashlib.sha256(f"{call_id} {cseq}".encode()).hexdigest()
    return (seed * (BODY // len(seed) + 1))[:BODY].encode()


async def send_all(call, requests):
    """Back to back, no faster than our own socket takes it."""
    sent = []
    for _ in range(requests):
        while call.client.link.transport.get_write_buffer_size() > 65536:
            await asyncio.sleep(0.002)
        text, cseq, _ = call.request("MESSAGE", body=body_of(call.id, call.cseq + 1))
        call.client.send(text)
        sent.append(cseq)
    return sent


async def collect(call, sent, timeout=40):
    finals = {}
    end = time.monotonic() + timeout
    while len(finals) < len(sent):
        get = asyncio.ensure_future(call.inbox.get())
        await asyncio.wait([get, call.client.link.closed], timeout=end - time.monotonic(),
                           return_when=asyncio.FIRST_COMPLETED)
        if not get.done():
            get.cancel()
            state = "the edge closed us" if call.client.link.closed.done() else "nothing more came"
            raise AssertionError(f"{call.id}: {len(finals)} of {len(sent)} answers, {state}")
        msg = get.result()
        if msg.status >= 200:
            assert msg.cseq not in finals, f"answered twice: {msg}"
            finals[msg.cseq] = msg.status
    return finals


def check_arrivals(uas, calls, sent):
    """`sent`: {Call-ID: numbers of the requests that were answered with 200}"""
    for call in calls:
        arrived = [s.msg for s in uas.by_call[call.id] if s.msg.method == "MESSAGE"]
        order = [m.cseq for m in arrived]
        assert order == sorted(order), f"{call.id}: out of order"
        assert order == sent[call.id], f"{call.id}: {len(order)} of {len(sent[call.id])} arrived"
        for m in arrived:
            assert m.body == body_of(call.id, m.cseq), f"{call.id} {m.cseq}: corrupted"


@pytest.mark.parametrize("crowd", CROWD)
@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("version", (None, "v2"), ids=("shared", "per-client"))
def test_upstream_stops_reading(version, kind, crowd, run, doors, edge, tls_server, tls_client):
    clients_n, requests, may_refuse = CROWD[crowd]

    async def one_round():
        uas = await Uas(kind, pp=version, tls=tls_server).start(rcvbuf=16384)
        clients = [await Client(kind, doors.entry(kind, version is not None), pp=version,
                                announced=(f"10.7.0.{n + 1}", 700 + n) if version else None,
                                tls=tls_client).open() for n in range(clients_n)]
        user = f"{kind}-{version or 'none'}-x"
        calls = [Call(c, uas.uri_for(user)) for c in clients]
        first = await asyncio.gather(*[c.ask("MESSAGE", body=body_of(c.id, 1)) for c in calls])
        assert {m.status for m in first} == {200}
        uas.pause()
        sending = asyncio.gather(*[send_all(c, requests) for c in calls])
        await asyncio.sleep(PAUSE)
        rss = edge.rss()
        uas.pause(False)
        sent = await sending
        finals = await asyncio.gather(*[collect(c, s) for c, s in zip(calls, sent)])
        codes = [code for f in finals for code in f.values()]
        assert set(codes) - (REFUSED if may_refuse else set()) == {200}, set(codes)
        assert codes.count(200) * BODY > 512 << 10, "nearly everything was refused"
        check_arrivals(uas, calls, {c.id: [1] + [n for n in s if f[n] == 200]
                                    for c, s, f in zip(calls, sent, finals)})
        assert not uas.violations and not [v for c in clients for v in c.violations]
        for c in clients:
            assert not c.link.closed.done()
            c.close()
        uas.stop()
        return rss

    async def scenario():
        before = edge.rss()
        end = time.monotonic() + SECONDS
        while True:
            during = await one_round()
            # buffered, but not without bound
            assert during - before < (400 << 20 if edge.asan else 96 << 20), (before, during)
            if time.monotonic() >= end:
                return
    run(scenario(), timeout=120 + SECONDS)


@pytest.mark.parametrize("kind", STREAMS)
def test_edge_is_the_slow_one(kind, run, doors, edge, tls_server, tls_client):
    """Stopped for a second under load, it reads on where it was: clients had to
    wait (their sockets were full), and that is all that happened to them."""
    async def scenario():
        uas = await Uas(kind, pp="v2", tls=tls_server).start()
        clients = [await Client(kind, doors.entry(kind, True), pp="v2", tls=tls_client,
                                announced=(f"10.8.0.{n + 1}", 800)).open() for n in range(20)]
        calls = [Call(c, uas.uri_for(f"{kind}-v2-x")) for c in clients]
        first = await asyncio.gather(*[c.ask("MESSAGE", body=body_of(c.id, 1)) for c in calls])
        assert {m.status for m in first} == {200}
        os.kill(edge.process.pid, signal.SIGSTOP)
        try:
            sending = asyncio.gather(*[send_all(c, 100) for c in calls])
            await asyncio.sleep(PAUSE)
        finally:
            os.kill(edge.process.pid, signal.SIGCONT)
        sent = await sending
        finals = await asyncio.gather(*[collect(c, s) for c, s in zip(calls, sent)])
        assert {code for f in finals for code in f.values()} == {200}
        check_arrivals(uas, calls, {c.id: [1] + s for c, s in zip(calls, sent)})
        for c in clients:
            assert not c.violations and not c.link.closed.done()
            c.close()
        uas.stop()
    run(scenario())


@pytest.mark.parametrize("kind", STREAMS)
def test_client_stops_reading(kind, run, doors, edge, tls_server, tls_client):
    """Answers wait for the slow client; another client does not wait for it."""
    async def scenario():
        uas = await Uas("udp").start()
        uas.reply_headers = [("X-Padding", "p" * 3000)]
        slow, quick = [await Client(kind, doors.entry(kind, False), tls=tls_client).open() for _ in range(2)]
        call = Call(slow, uas.uri_for("udp-none-x"))
        assert (await call.ask("MESSAGE", body=body_of(call.id, 1))).status == 200
        slow.link.transport.pause_reading()
        sent = await send_all(call, 400)
        longest = 0
        for _ in range(20):
            began = time.monotonic()
            assert (await Call(quick, uas.uri_for("udp-none-x")).ask("OPTIONS")).status == 200
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.02)
        slow.link.transport.resume_reading()
        finals = await collect(call, sent)
        assert set(finals.values()) == {200}
        assert longest < 1, f"the quick client waited {longest:.2f} s"
        check_arrivals(uas, [call], {call.id: [1] + sent})
        for c in (slow, quick):
            assert not c.violations
            c.close()
        uas.stop()
    run(scenario())
