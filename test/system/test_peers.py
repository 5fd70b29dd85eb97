"""Real peers: haproxy, nginx and sipp around the edge, and a second edge."""

import asyncio
import re
import time

import pytest

import sipkit
from peers import Haproxy, Nginx, sipp, sipp_errors, tls_wrapper, wait_listening
from scripts import PATIENT, RELAY, TIMEOUTS, Doors
from conftest import preamble
from sipkit import STREAMS, TRANSPORTS, Client, Uas

LOG_MORE = ('\txlog("L_NOTICE", "TLS|$ci|$rm|$proxy_protocol(version)|$proxy_protocol(cmd)|'
            '$proxy_protocol(ssl_cn)|$proxy_protocol(ssl_version)|$proxy_protocol(ssl_verified)|'
            '$proxy_protocol(authority)|\\n");\n')
SCRIPT = RELAY.replace("\tif (!mf_process_maxfwd_header(70))", LOG_MORE + "\tif (!mf_process_maxfwd_header(70))")


@pytest.fixture(scope="module")
def doors():
    return Doors(versions=("v1", "v2"))


@pytest.fixture(scope="module")
def edge(doors, certs, edges):
    return edges(doors.config(certs, script=SCRIPT,
                              options={("udp", True): ' require_proxy_protocol proxy_protocol_udp first '
                                                      'proxy_protocol_peers "127.0.0.0/8"'}), "peers")


@pytest.fixture
def programs():
    running = []
    yield lambda p: running.append(p) or p
    for p in running:
        p.stop()


async def script_saw(edge, call_id, count):
    """What the script logged of a call. A last ACK may still be on its way."""
    end = time.monotonic() + sipkit.PATIENCE
    while True:
        saw = re.findall(rf"SAW\|{re.escape(call_id)}\|([^|]*)\|([^|]*)\|([^|]*)\|", edge.log())
        if len(saw) >= count or time.monotonic() > end:
            return saw
        await asyncio.sleep(0.02)


def tls_facts(edge, call_id):
    return re.findall(rf"TLS\|{re.escape(call_id)}\|INVITE\|([^\n]*)\|", edge.log())


async def calls_through(edge, client, uas, user, real=None):
    """An answered, a busy and a cancelled call; all must name the client."""
    real = real or tuple(client.local)
    calls = [await sipkit.answered_call(client, uas.uri_for(f"{user}-ok"), uas),
             await sipkit.busy_call(client, uas.uri_for(f"{user}-busy"), uas),
             await sipkit.cancelled_call(client, uas.uri_for(f"{user}-ring"), uas)]
    for call in calls:
        assert {s.pp.src for s in uas.by_call[call.id]} == {real}
        if edge:
            saw = await script_saw(edge, call.id, 2)
            assert len(saw) >= 2 and {(ip, int(p)) for _, ip, p in saw} == {real}, saw
    assert not uas.violations and not client.violations
    return calls


# ------------------------------------------------------------ in front of us

@pytest.mark.parametrize("option", ("send-proxy", "send-proxy-v2"))
def test_haproxy_in_front(option, run, doors, edge, programs, tmp_path, tls_server, tls_client):
    ports = {k: sipkit.free_port() for k in STREAMS}
    programs(Haproxy(tmp_path, "\n".join(
        f"listen {k}\n    bind 127.0.0.1:{p}\n    server edge 127.0.0.1:{doors.inbound[k, True]} {option}"
        for k, p in ports.items()), ports["tcp"]))

    async def scenario():
        for kind in STREAMS:
            uas = await Uas("tcp", pp="v2").start()
            client = await Client(kind, ("127.0.0.1", ports[kind]), tls=tls_client).open()
            await calls_through(edge, client, uas, "tcp-v2")
            client.close()
            uas.stop()
    run(scenario())


def test_haproxy_tells_about_tls(run, certs, doors, edge, programs, tmp_path, tls_client):
    """haproxy ends TLS and forwards what it learnt: certificate name and version."""
    port = sipkit.free_port()
    programs(Haproxy(tmp_path, f"""
listen tls
    bind 127.0.0.1:{port} ssl crt {certs}/server.both.pem ca-file {certs}/ca.pem verify optional
    server edge 127.0.0.1:{doors.inbound["tcp", True]} send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c
""", port))

    async def one(tls, cn, verified):
        uas = await Uas("udp", pp="v2").start()
        client = await Client("tls", ("127.0.0.1", port), tls=tls).open()
        calls = await calls_through(edge, client, uas, "udp-v2")
        for call in calls:
            assert set(tls_facts(edge, call.id)) == \
                {f"2|PROXY|{cn}|TLSv1.3|{verified}|edge.test"}
        client.close()
        uas.stop()

    async def scenario():
        await one(sipkit.client_tls(certs), "alice", 1)
        await one(tls_client, "<null>", 0)
    run(scenario())


def test_haproxy_health_checks_are_served_quietly(doors, edge, programs, tmp_path, run):
    """v2 LOCAL, v1 of haproxy's own: answered, and not worth a log line."""
    ping = sipkit.build("OPTIONS sip:ping@edge.test SIP/2.0", [
        ("Via", "SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKcheck;rport"), ("Max-Forwards", "70"),
        ("From", "<sip:check@lb.test>;tag=1"), ("To", "<sip:ping@edge.test>"),
        ("Call-ID", "health-check"), ("CSeq", "1 OPTIONS")]).hex()
    port = doors.inbound["tcp", True]
    front = sipkit.free_port()
    haproxy = programs(Haproxy(tmp_path, f"""
listen checks
    bind 127.0.0.1:{front}
    option tcp-check
    tcp-check send-binary {ping}
    tcp-check expect string "SIP/2.0 200"
    server answered-v1 127.0.0.1:{port} send-proxy check check-send-proxy inter 50 rise 1 fall 1
    server answered-v2 127.0.0.1:{port} send-proxy-v2 check check-send-proxy inter 50 rise 1 fall 1
listen bare
    bind 127.0.0.1:{sipkit.free_port()}
    server connected-v2 127.0.0.1:{port} send-proxy-v2 check check-send-proxy inter 50 rise 1 fall 1
""", front))
    before = len(edge.log())

    async def scenario():
        last, end = {}, time.monotonic() + 10
        await asyncio.sleep(0.5)        # several rounds of checks
        while time.monotonic() < end:
            last = haproxy.servers()
            if all(v in (("UP", "L7OK"), ("UP", "L4OK")) for v in last.values()):
                break
            await asyncio.sleep(0.05)
        assert last["answered-v1"] == ("UP", "L7OK"), last
        assert last["answered-v2"] == ("UP", "L7OK"), last
        assert last["connected-v2"] == ("UP", "L4OK"), last
    run(scenario())
    added = [line for line in edge.log()[before:].splitlines() if "SAW|" not in line and "TLS|" not in line]
    assert not [line for line in added if re.search(r"(?i)warn|err|proxy", line)], added[:5]


def test_nginx_in_front(run, doors, edge, programs, tmp_path, tls_client):
    tcp, tls = sipkit.free_port(), sipkit.free_port()
    programs(Nginx(tmp_path, "\n".join(
        f"server {{ listen 127.0.0.1:{p}; proxy_pass 127.0.0.1:{doors.inbound[k, True]}; proxy_protocol on; }}"
        for k, p in (("tcp", tcp), ("tls", tls))), tcp))

    async def scenario():
        for kind, port in (("tcp", tcp), ("tls", tls)):
            uas = await Uas("tcp", pp="v1").start()
            client = await Client(kind, ("127.0.0.1", port), tls=tls_client).open()
            await calls_through(edge, client, uas, "tcp-v1")
            client.close()
            uas.stop()
    run(scenario())


def test_nginx_udp_in_front(run, doors, edge, programs, tmp_path):
    """nginx writes the header on the first datagram of a session only."""
    udp, tcp = sipkit.free_port(), sipkit.free_port()
    programs(Nginx(tmp_path, f"""
server {{ listen 127.0.0.1:{udp} udp; proxy_pass 127.0.0.1:{doors.inbound["udp", True]}; proxy_protocol on; proxy_timeout 20s; }}
server {{ listen 127.0.0.1:{tcp}; proxy_pass 127.0.0.1:{doors.inbound["tcp", True]}; }}
""", tcp))

    async def scenario():
        uas = await Uas("udp", pp="v2").start()
        clients = [await Client("udp", ("127.0.0.1", udp)).open() for _ in range(5)]
        await asyncio.gather(*[calls_through(edge, c, uas, "udp-v2") for c in clients])
        for c in clients:
            c.close()
        uas.stop()
    run(scenario())


# ----------------------------------------------------------------- behind us

async def through_balancer(edge, doors, uas, kind, version, tls_client):
    client = Client(kind, doors.entry(kind, True), pp="v2", announced=("198.51.100.77", 7777),
                    tls=tls_client)
    if kind == "udp":
        client = Client(kind, doors.entry(kind, False))
    await client.open()
    await sipkit.answered_call(client, uas.uri_for(f"{uas.kind}-{version}-ok"), uas)
    await sipkit.cancelled_call(client, uas.uri_for(f"{uas.kind}-{version}-ring"), uas)
    assert len(uas.seen) >= 8
    assert {s.pp.src for s in uas.seen} == {client.real}
    assert not uas.violations and not client.violations
    client.close()


@pytest.mark.parametrize("version", ("v1", "v2"))
def test_haproxy_behind(version, run, doors, edge, programs, tmp_path, tls_server, tls_client):
    fronts = {k: sipkit.free_port() for k in STREAMS}
    backs = {k: Uas(k, pp="v2", tls=tls_server) for k in STREAMS}
    programs(Haproxy(tmp_path, "\n".join(
        f"listen {k}\n    bind 127.0.0.1:{fronts[k]} accept-proxy\n"
        f"    server uas 127.0.0.1:{backs[k].port} send-proxy-v2" for k in STREAMS), fronts["tcp"]))

    async def scenario():
        for kind, uas in backs.items():
            await uas.start()
            uas.public_port = fronts[kind]
            await through_balancer(edge, doors, uas, "tcp", version, tls_client)
            uas.stop()
    run(scenario())


@pytest.mark.parametrize("version", ("v1", "v2"))
def test_nginx_behind(version, run, doors, edge, programs, tmp_path, tls_server, tls_client):
    fronts = {k: sipkit.free_port() for k in ("tcp", "tls")}
    backs = {k: Uas(k, pp="v1", tls=tls_server) for k in fronts}
    programs(Nginx(tmp_path, "set_real_ip_from 127.0.0.0/8;\n" + "\n".join(
        f"server {{ listen 127.0.0.1:{fronts[k]} proxy_protocol; proxy_pass 127.0.0.1:{backs[k].port}; "
        "proxy_protocol on; }" for k in fronts), fronts["tcp"]))

    async def scenario():
        for kind, uas in backs.items():
            await uas.start()
            uas.public_port = fronts[kind]
            await through_balancer(edge, doors, uas, "tls", version, tls_client)
            uas.stop()
    run(scenario())


@pytest.mark.parametrize("version", ("v1", "v2"))
def test_second_edge_behind(version, run, certs, edges, tls_server, tls_client):
    far = Doors(versions=(version,))
    edges(far.config(certs), f"far-{version}")
    near = Doors(versions=(version,))

    def hop(kind):
        t = "" if kind == "udp" else f";transport={kind}"
        return f"sip:127.0.0.1:{far.inbound[kind, True]}{t}"
    edge = edges(near.config(certs, hops={(k, version): hop(k) for k in TRANSPORTS}), f"near-{version}")

    async def one(kind):
        uas = await Uas(kind, pp=version, tls=tls_server).start()
        client = Client(kind, near.entry(kind, True), pp="v2", tls=tls_client,
                        announced=(f"198.51.100.{TRANSPORTS.index(kind)}", 4711))
        await client.open()
        await calls_through(edge, client, uas, f"{kind}-{version}", real=client.announced)
        client.close()
        uas.stop()

    async def scenario():
        await asyncio.gather(*[one(k) for k in TRANSPORTS])
    run(scenario())


# ---------------------------------------------------------------------- sipp

SIPP_SCRIPT = """
route {
	if (is_method("CANCEL")) {
		if (t_check_trans())
			t_relay();
		exit;
	}
	$du = "%s";
	$socket_out = "%s";
	t_relay();
}
"""


@pytest.mark.parametrize("out", ("udp", "tcp", "tls"))
@pytest.mark.parametrize("into", ("udp", "tcp", "tls"))
def test_sipp(into, out, certs, edges, programs, tmp_path):
    """Built-in caller and callee; every call completes, nothing is repeated."""
    door, leave = sipkit.free_port(), sipkit.free_port()
    server = programs(sipp(tmp_path, "uas", out, "uas", calls=40))
    enter, target = door, server.port
    if "tls" in (into, out):
        enter = sipkit.free_port() if into == "tls" else door
        target = sipkit.free_port() if out == "tls" else server.port
        programs(Haproxy(tmp_path, tls_wrapper(certs, (enter, door) if into == "tls" else None,
                                               (target, server.port) if out == "tls" else None),
                         enter if into == "tls" else target))
    t = "" if out == "udp" else f";transport={out}"
    edges("\n".join([preamble(certs, PATIENT), TIMEOUTS, f"socket = {into}:127.0.0.1:{door}",
                     f"socket = {out}:127.0.0.1:{leave}",
                     SIPP_SCRIPT % (f"sip:127.0.0.1:{target}{t}", f"{out}:127.0.0.1:{leave}")]),
          f"sipp-{into}-{out}")
    if out != "udp":
        wait_listening(server.port, server.process, server.log_path)
    client = programs(sipp(tmp_path, "uac", into, "uac", ("127.0.0.1", enter),
                           calls=40, rate=200, words=("-d", "10")))
    assert client.process.wait(40) == 0, sipp_errors(client)
    assert server.process.wait(10) == 0, sipp_errors(server)
