"""Five inbound by five outbound transports, each with and without PROXY headers.

For every pair an answered call (with a re-INVITE), one that the callee hangs
up, a busy one and a cancelled one, from clients without a header, with v1 and with v2, to upstreams without a
header, with v1 and with v2.  The script's own view, what the upstream reads and
what the client is must be one and the same, in every message.
"""

import asyncio
import itertools
import re

import pytest

import sipkit
from scripts import Doors
from sipkit import TRANSPORTS, Client, Uas

VERSIONS = (None, "v1", "v2")
FLOWS = {"ok": (sipkit.answered_call, ["INVITE", "ACK", "INVITE", "ACK", "BYE"]),
         "hang": (sipkit.hung_up_call, ["INVITE", "ACK"]),
         "busy": (sipkit.busy_call, ["INVITE", "ACK"]),
         "ring": (sipkit.cancelled_call, ["INVITE", "CANCEL", "ACK"])}
announced = itertools.count(1)


def next_address():
    n = next(announced)
    return (f"198.51.{100 + n // 250}.{n % 250 + 1}", 20000 + n)


@pytest.fixture(scope="module")
def doors():
    return Doors()


@pytest.fixture(scope="module")
def edge(doors, certs, edges):
    return edges(doors.config(certs), "matrix")


@pytest.fixture(scope="module")
def upstreams(run, edge, tls_server):
    async def start():
        return {(k, v): await Uas(k, pp=v, tls=tls_server).start()
                for k in TRANSPORTS for v in VERSIONS}
    every = run(start())
    yield every
    for uas in every.values():
        uas.stop()


async def open_client(kind, version, doors, tls, **kw):
    client = Client(kind, doors.entry(kind, version is not None), pp=version,
                    announced=next_address() if version else None, tls=tls, **kw)
    return await client.open()


def check_header(seen, version, client):
    if version is None or seen.msg.is_response and seen.link.kind == "udp":
        assert seen.pp is None, seen.msg
        return
    assert seen.pp is not None and not seen.pp.local, seen.msg
    assert seen.pp.src == client.real, (seen.msg, seen.pp, client.real)


def check_script(edge, calls):
    """Each of these calls' lines in the script's log names its client."""
    lines = {}
    for call_id, method, ip, port, si, sp in re.findall(
            r"SAW\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|", edge.log()):
        lines.setdefault(call_id, []).append((method, (ip, port), (si, sp)))
    for call, methods in calls:
        client = call.client
        got = [line for line in lines.get(call.id, [])
               if line[0] in methods]   # not the callee's own BYE
        assert sorted(m for m, _, _ in got) == sorted(methods) or client.kind == "udp", got
        assert set(methods) == {m for m, _, _ in got}
        for method, header, source in got:
            if client.pp:
                assert header == (client.real[0], str(client.real[1])), (method, got)
            else:
                assert header == ("<null>", "<null>"), (method, got)
            assert source == (client.local[0], str(client.local[1])), (method, got)


@pytest.mark.parametrize("out", TRANSPORTS)
@pytest.mark.parametrize("into", TRANSPORTS)
def test_pair(into, out, run, doors, edge, upstreams, tls_client):
    async def one(client, version, word, done):
        uas = upstreams[out, version]
        flow, methods = FLOWS[word]
        call = await flow(client, uas.uri_for(f"{out}-{version or 'none'}-{word}"), uas)
        done.append((call, methods))
        seen = uas.by_call[call.id]
        requests = [s for s in seen if not s.msg.is_response]
        assert set(methods) == {s.msg.method for s in requests}
        for s in seen:
            check_header(s, version, client)

    async def scenario():
        clients = [await open_client(into, v, doors, tls_client) for v in VERSIONS]
        done = []
        conns_before = {v: len(upstreams[out, v].conns) for v in VERSIONS}
        await asyncio.gather(*[one(c, v, word, done)
                               for c in clients for v in VERSIONS for word in FLOWS])
        if out != "udp":
            for v in ("v1", "v2"):
                # each worker has one upstream connection per client, announced once
                fresh = [c.pp.src for c in upstreams[out, v].conns[conns_before[v]:]]
                assert set(fresh) == {c.real for c in clients}
                assert max(fresh.count(src) for src in fresh) <= edge.workers
        for c in clients:
            assert not c.violations and not c.stray
            c.close()
        check_script(edge, done)
        assert len(done) == 36
        assert not [v for u in upstreams.values() for v in u.take_violations()]
    run(scenario())


def test_retransmissions_carry_the_same_header(run, doors, edge, upstreams, tls_client):
    """An upstream that is deaf to the first copy of every datagram."""
    async def one(into, version_in, version_out):
        client = await open_client(into, version_in, doors, tls_client)
        uas = upstreams["udp", version_out]
        for word in ("ok", "ring"):
            call = await FLOWS[word][0](client, uas.uri_for(f"udp-{version_out}-{word}"), uas)
            seen = uas.by_call[call.id]
            for s in seen:
                check_header(s, version_out, client)
            by_request = {}
            for s in seen:
                by_request.setdefault((s.msg.cseq, s.msg.method), []).append(s)
            for (_, method), copies in by_request.items():
                assert len(copies) >= 2 or method == "ACK", (method, copies)
                assert len({c.pp.raw for c in copies}) == 1
                assert len({c.msg.raw for c in copies}) == 1 or method == "ACK"
        assert not client.violations
        client.close()

    async def scenario():
        for v in ("v1", "v2"):
            upstreams["udp", v].deaf_first = 1
        try:
            await asyncio.gather(*[one(k, i, o) for k in TRANSPORTS for i in VERSIONS
                                   for o in ("v1", "v2")])
        finally:
            for v in ("v1", "v2"):
                upstreams["udp", v].deaf_first = 0
        assert not [v for u in upstreams.values() for v in u.take_violations()]
    run(scenario())


@pytest.mark.parametrize("version", ("v1", "v2"))
def test_ipv6(version, run, certs, edges, tls_server, tls_client):
    """IPv6 on both sides, and an IPv6 client announced over an IPv4 balancer."""
    six = Doors(versions=("v1", "v2"), host="::1")
    four = Doors(versions=("v1", "v2"))
    edges(six.config(certs), f"six-{version}")
    edges(four.config(certs), f"four-{version}")

    async def one(kind, doors, bind, pp, real):
        uas = await Uas(kind, pp=version, host=doors.host, tls=tls_server).start()
        header = sipkit.pp_write(pp, real, ("2001:db8::9", 5060), kind == "udp") if pp else None
        client = Client(kind, doors.entry(kind, pp is not None), pp=pp, announced=real, bind=bind,
                        header=header, tls=tls_client)
        await client.open()
        for word, (flow, _) in FLOWS.items():
            call = await flow(client, uas.uri_for(f"{kind}-{version}-{word}"), uas)
            for s in uas.by_call[call.id]:
                check_header(s, version, client)
        assert not uas.violations and not client.violations
        client.close()
        uas.stop()

    async def scenario():
        flows = []
        for n, kind in enumerate(TRANSPORTS):
            for doors, bind in ((six, "::1"), (four, "127.0.0.1")):
                flows.append(one(kind, doors, bind, None, None))
                flows.append(one(kind, doors, bind, "v1", (f"2001:db8:1::{n + 1}", 3000 + n)))
                flows.append(one(kind, doors, bind, "v2", (f"2001:db8:2::{n + 1}", 3100 + n)))
        await asyncio.gather(*flows)
    run(scenario())
