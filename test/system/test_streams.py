"""What stream transports owe their peers: keepalive, upgrades, TLS, identity."""

import asyncio
import re
import ssl

import pytest

import sipkit
from conftest import preamble
from scripts import PATIENT, TIMEOUTS, Doors
from sipkit import TRANSPORTS, Call, Client, Uas, WsReader, ws_frame, ws_request

ANSWER = """
route {
	xlog("L_NOTICE", "TLS|$ci|$tls_version|$tls_peer_subject_cn|$tls_my_subject_cn|\\n");
	if (is_peer_verified())
		xlog("L_NOTICE", "VERIFIED|$ci|\\n");
	sl_send_reply(200, "OK");
}
"""


def simple(certs, sockets, more="", script=ANSWER):
    return "\n".join([preamble(certs, PATIENT), TIMEOUTS, more] +
                     [f"socket = {s}" for s in sockets] + [script])


@pytest.fixture(scope="module")
def ports():
    return {k: sipkit.free_port() for k in TRANSPORTS}


@pytest.fixture(scope="module")
def edge(ports, certs, edges):
    return edges(simple(certs, [f"{k}:127.0.0.1:{p}" for k, p in ports.items()]), "streams")


async def exchange(port, data, tls=None, until=None, timeout=3):
    """Everything read back until `until` is in it, the end, or silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(data)
    got, closed = b"", False
    end = asyncio.get_running_loop().time() + timeout
    while until is None or until not in got:
        left = end - asyncio.get_running_loop().time()
        try:
            part = await asyncio.wait_for(reader.read(65536), max(left, 0.01))
        except asyncio.TimeoutError:
            break
        except ConnectionError:
            part = b""
        if not part:
            closed = True
            break
        got += part
    writer.close()
    return got, closed


# ------------------------------------------------------------------ keepalive

@pytest.mark.parametrize("kind", ("tcp", "tls"))
def test_double_crlf_is_answered(kind, run, edge, ports, tls_client):
    """RFC 5626 4.4.1: a ping brings one pong, also between messages."""
    async def scenario():
        tls = tls_client if kind == "tls" else None
        got, _ = await exchange(ports[kind], b"\r\n\r\n", tls, until=b"\r\n", timeout=2)
        assert got == b"\r\n"
        ask = sipkit.build("OPTIONS sip:x@edge.test SIP/2.0", [
            ("Via", "SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKping;rport"), ("From", "<sip:a@x>;tag=1"),
            ("To", "<sip:b@x>"), ("Call-ID", f"ping-{kind}"), ("CSeq", "1 OPTIONS")])
        got, _ = await exchange(ports[kind], b"\r\n\r\n" + ask + b"\r\n\r\n", tls, timeout=0.5)
        framer = sipkit.Framer()        # a pong need not wait for an answer made elsewhere
        assert [m[:11] for m in framer.feed(got)] == [b"SIP/2.0 200"] and framer.pongs == 2, got
    run(scenario())


# ------------------------------------------------------------------ WebSocket

def edited(old=None, new="", **kw):
    text, key = ws_request("edge.test", **kw)
    return (text.replace(old.encode(), new.encode()) if old else text), key


REFUSED_UPGRADES = {
    "no-origin": edited(origin=None)[0],
    "no-subprotocol": edited(protocol=None)[0],
    "other-subprotocol": edited(protocol="chat")[0],
    "version-8": edited("Version: 13", "Version: 8")[0],
    "no-key": edited("Sec-WebSocket-Key", "X-Key")[0],
    "post": edited("GET /", "POST /")[0],
    "http-1.0": edited("HTTP/1.1", "HTTP/1.0")[0],
    "no-upgrade": edited("Upgrade: websocket", "X: y")[0],
    "no-connection": edited("Connection: Upgrade", "Connection: close")[0],
    "no-host": edited("Host: edge.test", "X: y")[0],
    "garbage": b"\x16\x03\x01 nothing like HTTP\r\n\r\n",
    "sip": b"OPTIONS sip:x@edge.test SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n",
    "endless": b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 70000,
}


@pytest.mark.parametrize("name", REFUSED_UPGRADES)
def test_upgrade_is_refused(name, run, edge, ports):
    async def scenario():
        got, closed = await exchange(ports["ws"], REFUSED_UPGRADES[name])
        assert closed, f"still open after {got!r}"
        assert got == b"" or re.match(rb"HTTP/1\.1 [45]\d\d ", got), got
        assert name in ("garbage", "sip", "endless") or got, "refused without an answer"
    run(scenario())


async def upgraded(ports, payload, want=1, timeout=3):
    """Open a WebSocket, write `payload` raw, and read `want` messages."""
    text, _ = ws_request("edge.test")
    reader, writer = await asyncio.open_connection("127.0.0.1", ports["ws"])
    writer.write(text)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout)
    assert head.startswith(b"HTTP/1.1 101"), head
    assert b"sec-websocket-protocol: sip" in head.lower()
    writer.write(payload)
    frames, ws, closed = [], WsReader(want_mask=False), False
    end = asyncio.get_running_loop().time() + timeout
    while len(frames) < want:
        try:
            part = await asyncio.wait_for(reader.read(65536),
                                          max(0.01, end - asyncio.get_running_loop().time()))
        except asyncio.TimeoutError:
            break
        except ConnectionError:
            part = b""
        if not part:
            closed = True
            break
        frames += ws.feed(part)
    writer.close()
    return frames, closed


def options(mark, size=0):
    return sipkit.build("OPTIONS sip:x@edge.test SIP/2.0", [
        ("Via", f"SIP/2.0/WS browser.invalid;branch=z9hG4bK{mark}"), ("From", "<sip:a@x>;tag=1"),
        ("To", "<sip:b@x>"), ("Call-ID", f"ws-{mark}"), ("CSeq", "1 OPTIONS")], b"b" * size)


ORIGINS = {"https://app.example.org": True, "http://app.example.org": False, "https://a.example.net": True,
           "https://a.b.example.net": True, "https://example.net.evil.test": False, "https://evil.test": False}


def test_allowed_origins(run, certs, edges):
    port = sipkit.free_port()
    more = 'modparam("proto_ws|proto_wss", "allowed_origins", "https://app.example.org, *.example.net")'
    edges(simple(certs, [f"ws:127.0.0.1:{port}"], script=more + ANSWER), "origins")

    async def go():
        for origin, good in ORIGINS.items():
            data, _ = ws_request("edge.test", origin=origin)
            got, closed = await exchange(port, data, until=b"\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 101 " if good else b"HTTP/1.1 403 "), (origin, got)
    run(go())


def test_websocket_messages(run, edge, ports):
    async def scenario():
        one = options("one")
        for name, payload in {
                "text": ws_frame(one, masked=True),
                "binary": ws_frame(one, sipkit.WS_BINARY, masked=True),
                "fragments": ws_frame(one[:50], masked=True, final=False) +
                             ws_frame(one[50:90], 0, masked=True, final=False) +
                             ws_frame(one[90:], 0, masked=True),
                "large": ws_frame(options("large", 40000), masked=True)}.items():
            frames, closed = await upgraded(ports, payload)
            assert [f[1][:11] for f in frames] == [b"SIP/2.0 200"] and not closed, (name, frames)
        # ping and pong, also between fragments of a message
        frames, _ = await upgraded(ports, ws_frame(b"are you there", sipkit.WS_PING, masked=True))
        assert frames == [(sipkit.WS_PONG, b"are you there")]
        frames, _ = await upgraded(ports, ws_frame(one[:9], masked=True, final=False) +
                                   ws_frame(b"x", sipkit.WS_PING, masked=True) +
                                   ws_frame(one[9:], 0, masked=True), want=2)
        assert [f[0] for f in frames] == [sipkit.WS_PONG, sipkit.WS_TEXT]
    run(scenario())


def test_websocket_violations_close(run, edge, ports):
    """Each fault of RFC 6455 ends the connection; nothing of it is served."""
    async def scenario():
        one = options("bad")
        for name, payload in {
                "unmasked": ws_frame(one),
                "reserved-bit": bytes([0xc1]) + ws_frame(one, masked=True)[1:],
                "unknown-opcode": ws_frame(one, 3, masked=True),
                "continuation-first": ws_frame(one, 0, masked=True),
                "fragmented-ping": ws_frame(b"x", sipkit.WS_PING, masked=True, final=False),
                "long-ping": ws_frame(b"x" * 126, sipkit.WS_PING, masked=True),
                "text-within-text": ws_frame(one[:9], masked=True, final=False) + ws_frame(one, masked=True),
                "huge": bytes([0x81, 0xff]) + (1 << 40).to_bytes(8, "big") + b"mask" + b"x" * 100,
                "close": ws_frame(b"\x03\xe8", sipkit.WS_CLOSE, masked=True)}.items():
            frames, closed = await upgraded(ports, payload, want=9)
            assert closed, (name, frames)
            assert not [f for f in frames if f[0] not in (sipkit.WS_CLOSE, sipkit.WS_PONG)], (name, frames)
    run(scenario())


# ------------------------------------------------------------------------ TLS

def script_tls(edge, call_id):
    return re.findall(rf"TLS\|{re.escape(call_id)}\|([^|]*)\|([^|]*)\|([^|]*)\|", edge.log())


async def asked(port, tls, kind="tls"):
    client = await Client(kind, ("127.0.0.1", port), tls=tls).open(timeout=4)
    call = Call(client, "sip:x@edge.test")
    assert (await call.ask("OPTIONS", timeout=4)).status == 200
    session = client.link.tls.session
    version, reused = client.link.tls.version(), client.link.tls.session_reused
    client.close()
    return call.id, version, reused, session


@pytest.mark.parametrize("version", ("TLSv1_2", "TLSv1_3"))
def test_tls_versions(version, run, edge, ports):
    async def scenario():
        tls = sipkit.client_tls()
        tls.minimum_version = tls.maximum_version = getattr(ssl.TLSVersion, version)
        for kind in ("tls", "wss"):
            call_id, spoken, _, _ = await asked(ports[kind], tls, kind)
            assert spoken == version.replace("_", ".")
            assert script_tls(edge, call_id) == [(spoken, "<null>", "edge.test")]
    run(scenario())


def test_old_tls_is_refused(run, edge, ports):
    async def scenario():
        tls = sipkit.client_tls()
        tls.set_ciphers("ALL:@SECLEVEL=0")
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asked(ports["tls"], tls)
    run(scenario())


def test_client_certificates(run, certs, edges):
    """Asked for, it is checked and shown; required, nobody enters without."""
    optional, required = sipkit.free_port(), sipkit.free_port()
    more = '\nmodparam("tls_mgm", "verify_cert", "1")\nmodparam("tls_mgm", "require_cert", "%d")\n'
    asking = edges(simple(certs, [f"tls:127.0.0.1:{optional}"], more % 0), "asking")
    edges(simple(certs, [f"tls:127.0.0.1:{required}"], more % 1), "requiring")

    async def scenario():
        with_one, without = sipkit.client_tls(certs), sipkit.client_tls()
        call_id, _, _, _ = await asked(optional, with_one)
        assert script_tls(asking, call_id)[0][1] == "alice"
        assert f"VERIFIED|{call_id}|" in asking.log()
        call_id, _, _, _ = await asked(optional, without)
        assert script_tls(asking, call_id)[0][1] == "<null>"
        assert f"VERIFIED|{call_id}|" not in asking.log()
        await asked(required, with_one)
        with pytest.raises((ConnectionError, AssertionError, ssl.SSLError)):
            await asked(required, without)
    run(scenario())


def test_certificate_by_name(run, certs, edges):
    """The name in the ClientHello picks the domain, and with it the certificate."""
    port = sipkit.free_port()
    edge = edges(simple(certs, [f"tls:127.0.0.1:{port}"], f"""
modparam("tls_mgm", "server_domain", "other")
modparam("tls_mgm", "match_sip_domain", "[other]other.test")
modparam("tls_mgm", "match_ip_address", "[other]*")
modparam("tls_mgm", "certificate", "[other]{certs}/client.pem")
modparam("tls_mgm", "private_key", "[other]{certs}/client.key")
modparam("tls_mgm", "verify_cert", "[other]0")
modparam("tls_mgm", "require_cert", "[other]0")
"""), "names")

    async def named(name):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=sipkit.client_tls(),
                                                       server_hostname=name)
        der = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.close()
        return der

    async def scenario():
        def der(name):
            with open(f"{certs}/{name}.pem") as f:
                return ssl.PEM_cert_to_DER_cert(f.read())
        assert await named("edge.test") == der("server")
        assert await named("other.test") == der("client")
        assert edge.alive
    run(scenario())


def test_session_is_resumed(run, edge, ports):
    """A ticket of one connection shortens the handshake of the next."""
    async def scenario():
        tls = sipkit.client_tls()
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_2
        _, _, reused, session = await asked(ports["tls"], tls)
        assert not reused and session is not None
        loop = asyncio.get_running_loop()
        resumed = 0
        for _ in range(8):
            conn = sipkit.Conn("tls", False, lambda *_: None, tls=tls)
            conn.tls.session = session
            await loop.create_connection(lambda: conn, "127.0.0.1", ports["tls"])
            await conn.ready
            resumed += conn.tls.session_reused
            conn.close()
        assert resumed == 8
    run(scenario())


# ------------------------------------------------------------------- identity

IDENTITY = """
route {
	xlog("L_NOTICE", "WHO|$ci|$si|$sp|$wire(ip)|$wire(port)|$wire(proto)|\\n");
	if ($tt != NULL) {
		loose_route();
		t_relay();
		exit;
	}
	route(OUT);
	record_route();
	t_relay();
}
"""


@pytest.mark.parametrize("real", (False, True), ids=("wire", "real_source"))
def test_real_source(real, run, certs, edges, tls_client):
    """`real_source` makes $si the client; $wire stays the balancer, and replies follow it."""
    doors = Doors(versions=(None,))
    options_of = {(k, True): ' require_proxy_protocol proxy_protocol_peers "127.0.0.0/8"' +
                  (" real_source" if real else "") for k in TRANSPORTS}
    edge = edges(doors.config(certs, script=IDENTITY, options=options_of), f"identity-{real}")

    async def one(kind, uas):
        announced = (f"198.51.100.{TRANSPORTS.index(kind) + 1}", 6000)
        client = await Client(kind, doors.entry(kind, True), pp="v2", announced=announced,
                              tls=tls_client).open()
        call = Call(client, uas.uri_for("udp-none-x"))
        ok = await call.invite()
        assert ok.status == 200
        source = announced if real else tuple(client.local)
        lines = re.findall(rf"WHO\|{re.escape(call.id)}\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|", edge.log())
        assert lines
        for si, sp, ip, port, proto in lines:
            assert (si, int(sp)) == source, (kind, si, sp)
            assert (ip, int(port)) == tuple(client.local) and proto.lower() == kind
        vias = uas.by_call[call.id][0].msg.all("via")
        assert f"received={source[0]}" in vias[1] and f"rport={source[1]}" in vias[1], vias[1]
        assert (await uas.hang_up(call.id)).status == 200   # the callee's BYE goes over the wire flow
        assert not client.violations
        client.close()

    async def scenario():
        uas = await Uas("udp").start()
        await asyncio.gather(*[one(k, uas) for k in TRANSPORTS])
        uas.stop()
    run(scenario())
