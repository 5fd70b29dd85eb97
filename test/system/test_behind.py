"""docs/behind: each page's configuration, moved to loopback, serves a sender that does what the page says of its load balancer:
the script sees the client, the reply arrives in the form that sender expects.  The pages of haproxy and NGINX run the real ones too."""

import os
import re
import socket
import struct
import threading

import pytest

import sipkit
from conftest import TREE
from peers import Nginx, Program

SENDER, EDGE, INSIDE, PLATFORM = "127.0.0.2", "127.0.0.10", "127.0.0.11", "127.0.0.5"
CLIENT, CALLED = ("198.51.100.7", 40123), ("203.0.113.9", 5060)
PORTS = ("5060", "5061", "5062", "8443")


def header(version, *tlvs, **more):
    if version == "spp":
        return sipkit.spp(CLIENT, CALLED)
    return sipkit.pp_write(version, CLIENT, CALLED, tlvs=tlvs, **more) if version == "v2" else sipkit.pp_write(version, CLIENT, CALLED)


def ssl_tlv(cn, verify=0, client=7):
    subs = b"".join(struct.pack(">BH", kind, len(text)) + text for kind, text in ((0x21, b"TLSv1.3"), (0x22, cn)))
    return 0x20, struct.pack(">BI", client, verify) + subs


# page, transport, port in the page, header, what the script logs, status
CASES = [
    ("haproxy", "tcp", "5060", header("v2"), r"OPTIONS from 198\.51\.100\.7:40123, by 127\.0\.0\.2", 200),
    ("haproxy", "tls", "5061", header("v2"), r"OPTIONS from 198\.51\.100\.7:40123, by 127\.0\.0\.2", 200),
    ("haproxy", "tcp", "5062", header("v2", (2, b"sip.example.org"), ssl_tlv(b"phone-7")), r"certificate of phone-7, TLSv1\.3", 200),
    ("haproxy", "tcp", "5062", header("v2", (2, b"sip.example.org"), ssl_tlv(b"phone-7")), r"asked for sip\.example\.org", 200),
    ("nginx", "tcp", "5060", header("v1"), r"OPTIONS from 198\.51\.100\.7:40123, by 127\.0\.0\.2", 200),
    ("nginx", "udp", "5060", header("v1"), r"OPTIONS from 198\.51\.100\.7:40123, by 127\.0\.0\.2", 200),
    ("aws-nlb", "tcp", "5060", header("v2", (0xea, b"\x01vpce-08d2bf15fac5001c9"), (4, b"\0" * 36), checksum=True), r"endpoint vpce-08d2bf15fac5001c9", 200),
    ("aws-nlb", "tls", "5061", header("v2", checksum=True), r"OPTIONS from 198\.51\.100\.7:40123", 200),
    ("aws-nlb", "udp", "5060", b"", r"OPTIONS from 127\.0\.0\.2:\d+, by 127\.0\.0\.2", 200),
    ("cloudflare", "tls", "5061", header("v2"), r"OPTIONS from 198\.51\.100\.7:40123, by 127\.0\.0\.2, header 2", 200),
    ("cloudflare", "udp", "5060", header("spp"), r"OPTIONS from 198\.51\.100\.7:40123, by 127\.0\.0\.2, header spp", 200),
    ("gcp", "tcp", "5060", header("v1"), r"OPTIONS from 198\.51\.100\.7:40123", 200),
    ("gcp", "tcp", "5060", header("v2", (0xe0, struct.pack(">Q", 9876543210))), r"PSC connection 9876543210", 200),
    ("gcp", "udp", "5060", b"", r"OPTIONS from 127\.0\.0\.2", 200),
    ("azure", "tcp", "5060", header("v2", (0xee, b"\x01" + struct.pack("<I", 268435977))), r"of link 268435977", 200),
    ("azure", "tcp", "5060", header("v2"), None, 403),
]


def page(name, language):
    """The first block in that language of a page."""
    with open(os.path.join(TREE, "docs/behind", f"{name}.md"), encoding="utf-8") as f:
        return re.search(rf"^```{language}\n(.*?)^```", f.read(), re.M | re.S).group(1)


def moved(text, certs, ports):
    """The page's addresses on loopback, its ports free ones."""
    for name, to in (("10.1.0.2", SENDER), ("10.1.0.10", EDGE), ("10.1.1.10", EDGE), ("192.0.2.10", EDGE), ("10.0.0.10", INSIDE), ("10.0.0.5", PLATFORM)):
        text = re.sub(rf"(?<![\d.]){re.escape(name)}(?!\d)", to, text)
    text = re.sub(r'(proxy_protocol_peers = )"[^"]*"', rf'\1"{SENDER}/32"', text)
    text = text.replace("/etc/viaduct/cert.pem", f"{certs}/server.pem").replace("/etc/viaduct/key.pem", f"{certs}/server.key")
    return re.sub(r"(?<=[: ])(%s)\b(?!\d)" % "|".join(PORTS), lambda m: str(ports[m.group(1)]), text)


def answer(request):
    lines = [line for line in request.decode().split("\r\n")[1:] if re.match(r"(?i)(via|from|to|call-id|cseq|record-route):", line)]
    lines = [line + ";tag=platform" if re.match("(?i)to:", line) else line for line in lines]
    return ("\r\n".join(["SIP/2.0 200 OK"] + lines + ["Content-Length: 0", "", ""])).encode()


class Platform:
    """Answers OPTIONS on UDP and TCP."""

    def __init__(self, port):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind((PLATFORM, port))
        self.tcp.bind((PLATFORM, port))
        self.tcp.listen(16)
        for serve in (self.datagrams, self.connections):
            threading.Thread(target=serve, daemon=True).start()

    def datagrams(self):
        try:
            while True:
                data, peer = self.udp.recvfrom(65536)
                self.udp.sendto(answer(data), peer)
        except OSError:
            pass

    def connections(self):
        try:
            while True:
                threading.Thread(target=self.connection, args=(self.tcp.accept()[0],), daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def connection(sock):
        rest = b""
        while data := sock.recv(65536):
            *whole, rest = (rest + data).split(b"\r\n\r\n")
            for request in whole:
                sock.sendall(answer(request + b"\r\n\r\n"))

    def stop(self):
        for s in (self.udp, self.tcp):
            s.close()


@pytest.fixture(scope="module")
def pages(edges, certs):
    """behind(page) -> (edge, ports): each page's configuration, started once."""
    running, platforms = {}, []

    def behind(name):
        if name not in running:
            ports = {p: sipkit.free_port(EDGE) for p in PORTS}
            platforms.append(Platform(ports["5060"]))
            running[name] = edges(moved(page(name, "opensips"), certs, ports), name=name), ports
        return running[name]

    yield behind
    for p in platforms:
        p.stop()


def options(transport, sock, number):
    """An OPTIONS request; its Via names where the socket really is."""
    ip, port = sock.getsockname()[:2]
    return (f"OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/{transport.upper()} {ip}:{port};rport;branch=z9hG4bKdocs{port}x{number}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:caller@example.org>;tag=c{port}\r\nTo: <sip:bob@example.org>\r\nCall-ID: docs-{transport}-{port}-{number}\r\n"
            f"CSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n").encode()


def status(data):
    assert data.startswith(b"SIP/2.0 "), data
    return int(data.split()[1])


@pytest.mark.parametrize("name, transport, port, head, logged, wanted", CASES)
def test_page_serves_its_sender(pages, name, transport, port, head, logged, wanted):
    edge, ports = pages(name)
    before = len(edge.log())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as sock:
        sock.settimeout(sipkit.PATIENCE)
        sock.bind((SENDER, 0))
        sock.connect((EDGE, ports[port]))
        if transport == "udp":
            sock.send(head + options("udp", sock, 1))
            data = sock.recv(65536)
            if head.startswith(sipkit.SPP_MAGIC):
                assert data.startswith(head), "the reply carries the same 38 bytes"
                data = data[len(head):]
            assert status(data) == wanted
            if "udp first" in page(name, "opensips").replace("_udp", " udp"):
                sock.send(options("udp", sock, 2))         # bare: belongs to the flow
                assert status(sock.recv(65536)) == wanted
        else:
            sock.sendall(head)
            stream = sipkit.client_tls().wrap_socket(sock) if transport == "tls" else sock
            for number in (1, 2):
                stream.sendall(options(transport, stream, number))
                assert status(stream.recv(65536)) == wanted
    if logged:
        assert re.search(logged, edge.log()[before:]), edge.log()[before:]


@pytest.mark.parametrize("name", ["haproxy", "nginx"])
def test_page_and_the_real_load_balancer(pages, certs, tmp_path, name):
    edge, ports = pages(name)
    front = {p: sipkit.free_port(SENDER) for p in ("5060", "5061", "5062", "443")}
    text = page(name, name)
    listens = r"(?<=bind :)(\d+)" if name == "haproxy" else r"(?<=listen )(\d+)"
    text = re.sub(listens, lambda m: f"@{m.group(1)}@", text)
    text = moved(text, certs, ports)
    text = re.sub(r":?@(\d+)@", lambda m: f"{SENDER}:{front[m.group(1)]}", text)
    if name == "haproxy":
        text = text.replace("/etc/haproxy/sip.pem", f"{certs}/server.both.pem").replace("/etc/haproxy/clients.pem", f"{certs}/ca.pem")
        text = re.sub(r"^(\s+server edge1 .*)$", rf"\1 source {SENDER}", text, flags=re.M)
        path = tmp_path / "page.cfg"
        path.write_text("global\n    maxconn 100\n" + text)
        balancer = Program(tmp_path, "haproxy", ["haproxy", "-db", "-f", str(path)])
    else:
        text = re.search(r"stream \{\n(.*)^\}", text, re.M | re.S).group(1).replace("proxy_protocol on;", f"proxy_protocol on; proxy_bind {SENDER};")
        balancer = Nginx(tmp_path, text)
    try:
        for transport, port in [("tcp", "5060"), ("tls", "5061")] + ([("udp", "5060")] if name == "nginx" else [("ended", "5062")]):
            through_balancer(edge, certs, transport, front[port])
    finally:
        balancer.stop()


def through_balancer(edge, certs, transport, port):
    before = len(edge.log())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as sock:
        sock.settimeout(sipkit.PATIENCE)
        sock.bind(("127.0.7.7", 0))
        for _ in range(200):                               # the balancer may still be starting
            if transport == "udp" or sock.connect_ex((SENDER, port)) == 0:
                break
            threading.Event().wait(0.02)
        me = sock.getsockname()
        context = sipkit.client_tls()
        if transport == "ended":
            context.load_cert_chain(f"{certs}/client.both.pem")
        stream = context.wrap_socket(sock, server_hostname="edge.test") if transport in ("tls", "ended") else sock
        if transport == "udp":
            stream.connect((SENDER, port))
            me = sock.getsockname()
        for number in (1, 2):
            stream.sendall(options("tls" if transport == "ended" else transport, stream, number))
            assert status(stream.recv(65536)) == 200
    said = edge.log()[before:]
    assert f"OPTIONS from {me[0]}:{me[1]}, by {SENDER}" in said, said
    if transport == "ended":
        assert "certificate of alice" in said, said
