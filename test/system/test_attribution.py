"""Many clients behind one balancer address and in front of one upstream.

Every client announces an address of its own; what the upstream reads in front
of a message must be the address of the client that sent it, for every message,
also while connects are slow and when the upstream goes away in the middle.
"""

import asyncio
import os
import socket

import pytest

import sipkit
from scripts import Doors
from sipkit import STREAMS, TRANSPORTS, Call, Client, Uas

CLIENTS = int(os.environ.get("VIADUCT_CLIENTS", "200"))


@pytest.fixture(scope="module")
def doors():
    return Doors(versions=("v1", "v2"))


@pytest.fixture(scope="module")
def edge(doors, certs, edges):
    return edges(doors.config(certs), "attribution")


async def open_clients(kind, doors, tls, count):
    base = TRANSPORTS.index(kind)
    clients = [Client(kind, doors.entry(kind, True), pp="v2" if n % 2 else "v1", tls=tls,
                      announced=(f"10.{base}.{n // 250}.{n % 250 + 1}", 1024 + n))
               for n in range(count)]
    await asyncio.gather(*[c.open(timeout=30) for c in clients])
    return clients


def check(uas, clients, calls, one_connection_each=True):
    """Nothing misattributed, nothing leaked towards a client."""
    by_call = {call.id: call.client for call in calls}
    wrong = [(s.msg, s.pp) for s in uas.seen
             if s.pp is None or s.pp.src != by_call[s.msg.call_id].announced]
    assert not wrong, f"{len(wrong)} of {len(uas.seen)} misattributed: {wrong[:3]}"
    assert not uas.violations, uas.violations[:3]
    assert not [v for c in clients for v in c.violations]
    if uas.kind != "udp":
        used = [c for c in uas.conns if c.pp is not None]
        assert len(used) == len(uas.conns), "a connection without its header"
        if one_connection_each:
            assert sorted(c.pp.src for c in used) == sorted(c.announced for c in clients)


async def begin(client, uas, user):
    call = Call(client, uas.uri_for(user))
    ok = await call.invite(timeout=30)
    assert ok.status == 200, ok.start
    await uas.wait(call.id, "ACK")
    return call


async def end(call, uas):
    bye = await call.ask("BYE", timeout=30)
    assert bye.status == 200, bye.start
    return call


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_all_at_once(kind, run, doors, edge, tls_server, tls_client):
    async def scenario():
        uas = await Uas(kind, pp="v2", tls=tls_server).start()
        clients = await open_clients(kind, doors, tls_client, CLIENTS)
        calls = await asyncio.gather(*[begin(c, uas, f"{kind}-v2-ok") for c in clients])
        await asyncio.gather(*[end(c, uas) for c in calls])
        assert len(uas.by_call) == CLIENTS
        check(uas, clients, calls)
        for c in clients:
            c.close()
        uas.stop()
    run(scenario())


def test_slow_connects(run, doors, edge, tls_server, tls_client):
    """The upstream completes no connect for two seconds: requests wait for
    their own connection, with their own header, and never borrow another."""
    async def late(uas):
        sock = uas.listening()
        sock.listen(0)
        stuffing = []       # fill the accept queue: further SYNs are dropped
        for _ in range(2):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((uas.host, uas.port))
            stuffing.append(s)
        await asyncio.sleep(2)
        for s in stuffing:
            s.close()
        sock.listen(1024)
        while True:         # what the stuffing left behind
            try:
                sock.accept()[0].close()
            except BlockingIOError:
                break
        uas.server = await asyncio.get_running_loop().create_server(uas._accept, sock=sock,
                                                                    backlog=1024)

    async def one(kind):
        uas = Uas(kind, pp="v1", tls=tls_server)
        clients = await open_clients(kind, doors, tls_client, CLIENTS)
        gate = asyncio.ensure_future(late(uas))
        await asyncio.sleep(0.05)
        began = asyncio.get_running_loop().time()
        calls = await asyncio.gather(*[begin(c, uas, f"{kind}-v1-ok") for c in clients])
        assert asyncio.get_running_loop().time() - began > 1.5, "the connects were not slow"
        await gate
        await asyncio.gather(*[end(c, uas) for c in calls])
        check(uas, clients, calls)
        for c in clients:
            c.close()
        uas.stop()

    async def scenario():
        await asyncio.gather(*[one(k) for k in STREAMS])
    run(scenario())


def test_upstream_restarts_in_the_middle(run, doors, edge, tls_server, tls_client):
    """Established calls go on over fresh connections; each has its header once."""
    async def one(kind):
        uas = await Uas(kind, pp="v2", tls=tls_server).start()
        clients = await open_clients(kind, doors, tls_client, CLIENTS)
        half = len(clients) // 2
        calls = list(await asyncio.gather(*[begin(c, uas, f"{kind}-v2-ok") for c in clients[:half]]))
        uas.stop()
        # while it is down, requests fail: with an answer, not with silence
        if kind != "udp":
            lost = [Call(c, uas.uri_for(f"{kind}-v2-ok")) for c in clients[half:]]
            failed = await asyncio.gather(*[c.invite(timeout=30) for c in lost])
            assert all(m.status >= 400 for m in failed), {m.start for m in failed}
        await asyncio.sleep(0.05)       # the loop closes its sockets a turn later
        before = len(uas.conns)
        await uas.start()
        more = [begin(c, uas, f"{kind}-v2-ok") for c in clients[half:]]
        done = await asyncio.gather(*[end(c, uas) for c in calls], *more)
        fresh = list(done[half:])
        await asyncio.gather(*[end(c, uas) for c in fresh])
        check(uas, clients, calls + fresh, one_connection_each=False)
        if kind != "udp":
            again = uas.conns[before:]
            assert sorted(c.pp.src for c in again) == sorted(c.announced for c in clients)
        for c in clients:
            c.close()
        uas.stop()

    async def scenario():
        await asyncio.gather(*[one(k) for k in TRANSPORTS])
    run(scenario())
