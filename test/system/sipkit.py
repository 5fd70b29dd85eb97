"""A small SIP user agent kit for black-box tests; standard library only.

Everything runs on one asyncio loop and stays independent of the server under
test: own SIP parser, own WebSocket framing, own PROXY protocol reader and
writer.  A stream connection is a pile of layers, fed from below:

    bytes -> PROXY header -> TLS -> WebSocket -> SIP framing -> on_message

Peers that must not send a PROXY header are read with `pp=None`; the header
then surfaces as a violation instead of being stripped quietly.
"""

import asyncio
import base64
import hashlib
import ipaddress
import itertools
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import time
from dataclasses import dataclass, field

TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")
STREAMS = ("tcp", "tls", "ws", "wss")
SECURE = ("tls", "wss")
WEBSOCKET = ("ws", "wss")

PP2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
SPP_MAGIC = b"\x56\xec"
PATIENCE = 10.0     # seconds for one protocol step; generous, sanitizers are slow


# ---------------------------------------------------------------- addresses

_given_ports = set()


def free_port(host="127.0.0.1"):
    """A port free for UDP and TCP, below the ephemeral range so that no
    outgoing connection of another test takes it before the server binds."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(500):
        port = random.SystemRandom().randrange(10000, 32000)
        if port in _given_ports:
            continue
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(family, kind) as s:
                    s.bind((host, port))
        except OSError:
            continue
        _given_ports.add(port)
        return port
    raise RuntimeError("no free port")


def host_text(host):
    return f"[{host}]" if ":" in host else host


def unmapped(host):
    """Canonical text of an address, IPv4-mapped IPv6 as IPv4."""
    ip = ipaddress.ip_address(host)
    mapped = getattr(ip, "ipv4_mapped", None)
    return str(mapped or ip)


# ---------------------------------------------------------- PROXY protocol

@dataclass
class ProxyHeader:
    version: object             # 1, 2 or "spp"
    local: bool = False         # v2 LOCAL or v1 UNKNOWN: no addresses
    src: tuple = None           # (host, port), IPv4-mapped already unmapped
    dst: tuple = None
    family: str = None          # byte 13 of v2 as hex, TCP4/TCP6 for v1
    tlvs: list = field(default_factory=list)
    raw: bytes = b""


class ProxyMore(Exception):
    """A valid prefix of a header."""


class ProxyBad(Exception):
    """Not a PROXY header."""


def pp1(src, dst):
    if ":" in src[0] or ":" in dst[0]:
        kind = "TCP6"
    else:
        kind = "TCP4"
    return f"PROXY {kind} {src[0]} {dst[0]} {src[1]} {dst[1]}\r\n".encode()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def pp2(src, dst, datagram=False, tlvs=(), local=False, checksum=False):
    proto = 2 if datagram else 1
    if local:
        return PP2_SIGNATURE + bytes([0x20, 0]) + b"\0\0"
    if ":" in src[0] or ":" in dst[0]:
        def packed(a):
            ip = ipaddress.ip_address(a)
            return ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed
        fam = 0x20 | proto
    else:
        def packed(a):
            return ipaddress.ip_address(a).packed
        fam = 0x10 | proto
    body = packed(src[0]) + packed(dst[0]) + struct.pack(">HH", src[1], dst[1])
    for kind, value in tlvs:
        body += struct.pack(">BH", kind, len(value)) + value
    if checksum:
        body += struct.pack(">BH", 3, 4) + b"\0\0\0\0"
    head = PP2_SIGNATURE + bytes([0x21, fam]) + struct.pack(">H", len(body)) + body
    if checksum:
        head = head[:-4] + struct.pack(">I", crc32c(head))
    return head


def spp(client, proxy):
    def packed(a):
        ip = ipaddress.ip_address(a)
        return ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed
    return (SPP_MAGIC + packed(client[0]) + packed(proxy[0]) +
            struct.pack(">HH", client[1], proxy[1]))


def pp_write(version, src, dst, datagram=False, **more):
    """Header bytes by name: None, "v1", "v2" or "spp"."""
    if version is None:
        return b""
    if version == "v1":
        return pp1(src, dst)
    if version == "v2":
        return pp2(src, dst, datagram, **more)
    return spp(src, dst)


def _pp1_read(data):
    end = data.find(b"\r\n", 0, 108)
    if end < 0:
        if len(data) >= 107:
            raise ProxyBad("v1 line too long")
        raise ProxyMore()
    words = data[:end].decode("ascii", "replace").split(" ")
    raw = bytes(data[:end + 2])
    if words[1:2] == ["UNKNOWN"]:
        return ProxyHeader(1, local=True, raw=raw)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyBad(f"v1 line {words!r}")
    src, dst = ipaddress.ip_address(words[2]), ipaddress.ip_address(words[3])
    want = 4 if words[1] == "TCP4" else 6
    if src.version != want or dst.version != want:
        raise ProxyBad("v1 family")
    for port in words[4:]:
        if not re.fullmatch(r"0|[1-9][0-9]{0,4}", port) or int(port) > 65535:
            raise ProxyBad("v1 port")
    return ProxyHeader(1, False, (unmapped(words[2]), int(words[4])),
                       (unmapped(words[3]), int(words[5])), words[1], raw=raw)


def tlv_walk(block):
    found = []
    while block:
        if len(block) < 3:
            raise ProxyBad("TLV cut")
        kind, n = struct.unpack(">BH", block[:3])
        if len(block) < 3 + n:
            raise ProxyBad("TLV beyond the header")
        found.append((kind, bytes(block[3:3 + n])))
        block = block[3 + n:]
    return found


def _pp2_read(data):
    if len(data) < 16:
        raise ProxyMore()
    command, fam, n = data[12], data[13], struct.unpack(">H", data[14:16])[0]
    if command not in (0x20, 0x21):
        raise ProxyBad(f"v2 command {command:#x}")
    if len(data) < 16 + n:
        raise ProxyMore()
    body, raw = bytes(data[16:16 + n]), bytes(data[:16 + n])
    if command == 0x20:
        return ProxyHeader(2, local=True, family=f"{fam:02x}", raw=raw)
    size = {1: 4, 2: 16}.get(fam >> 4)
    if size is None or fam & 15 not in (1, 2):
        raise ProxyBad(f"v2 family {fam:#x}")
    if n < 2 * size + 4:
        raise ProxyBad("v2 address block cut")
    src, dst = body[:size], body[size:2 * size]
    sport, dport = struct.unpack(">HH", body[2 * size:2 * size + 4])
    tlvs = tlv_walk(body[2 * size + 4:])
    for kind, value in tlvs:
        if kind == 3:
            at = raw.index(b"\x03\x00\x04" + value)
            blank = raw[:at + 3] + b"\0\0\0\0" + raw[at + 7:]
            if crc32c(blank) != struct.unpack(">I", value)[0]:
                raise ProxyBad("v2 checksum")
    return ProxyHeader(2, False, (unmapped(str(ipaddress.ip_address(src))), sport),
                       (unmapped(str(ipaddress.ip_address(dst))), dport),
                       f"{fam:02x}", tlvs, raw)


def spp_read(data):
    if len(data) < 38 or data[:2] != SPP_MAGIC:
        raise ProxyBad("SPP")
    client, proxy = data[2:18], data[18:34]
    cport, pport = struct.unpack(">HH", data[34:38])
    return ProxyHeader("spp", False,
                       (unmapped(str(ipaddress.IPv6Address(bytes(client)))), cport),
                       (unmapped(str(ipaddress.IPv6Address(bytes(proxy)))), pport),
                       raw=bytes(data[:38]))


def pp_read(data):
    """The header at the start of `data`; ProxyMore or ProxyBad otherwise."""
    data = bytes(data)
    if data[:12] == PP2_SIGNATURE[:len(data)][:12] and data:
        return _pp2_read(data)
    if data[:6] == b"PROXY "[:len(data)] and data:
        return _pp1_read(data)
    if not data:
        raise ProxyMore()
    raise ProxyBad(f"no header in {data[:24]!r}")


def looks_proxied(data):
    return data[:6] == b"PROXY " or data[:12] == PP2_SIGNATURE or data[:2] == SPP_MAGIC


# ------------------------------------------------------------ certificates

def make_certificates(folder):
    """A throw-away CA, a server and a client certificate (CN alice)."""
    def openssl(*words):
        subprocess.run(("openssl",) + words, cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def write(name, text):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=test ca")
    write("server.ext", "subjectAltName=DNS:localhost,DNS:edge.test,IP:127.0.0.1,IP:::1\n")
    write("client.ext", "extendedKeyUsage=clientAuth\n")
    for name, subject in (("server", "/CN=edge.test"), ("client", "/CN=alice")):
        openssl("req", "-new", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", subject)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
                "-out", f"{name}.pem")
        with open(os.path.join(folder, f"{name}.both.pem"), "w") as both:
            for part in (f"{name}.pem", f"{name}.key"):
                with open(os.path.join(folder, part)) as f:
                    both.write(f.read())
    return folder


def server_tls(folder):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(os.path.join(folder, "server.pem"), os.path.join(folder, "server.key"))
    return ctx


def client_tls(folder=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.verify_mode = ssl.CERT_NONE
    if folder:
        ctx.load_cert_chain(os.path.join(folder, "client.pem"), os.path.join(folder, "client.key"))
    return ctx


# ------------------------------------------------------------ SIP messages

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact",
           "l": "content-length", "c": "content-type", "s": "subject", "k": "supported"}


def split_list(value):
    """Comma-separated parts, commas in quotes and angle brackets kept."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(value):
        if c == '"' and (i == 0 or value[i - 1] != "\\"):
            quoted = not quoted
        elif not quoted and c == "<":
            depth += 1
        elif not quoted and c == ">":
            depth -= 1
        elif c == "," and not quoted and depth == 0:
            parts.append(value[start:i].strip())
            start = i + 1
    parts.append(value[start:].strip())
    return parts


class Msg:
    """A parsed message.  Header names are lower-case long forms."""

    def __init__(self, raw):
        self.raw = bytes(raw)
        head, _, self.body = self.raw.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("latin-1")).split("\r\n")
        self.start = lines[0]
        self.headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            self.headers.append((COMPACT.get(name, name), value.strip()))
        words = self.start.split(" ", 2)
        self.status = int(words[1]) if words[0] == "SIP/2.0" and re.fullmatch(r"[0-9]{3}", "".join(words[1:2])) else 0
        self.is_response = words[0] == "SIP/2.0"
        self.uri = "" if self.is_response or len(words) < 2 else words[1]
        self.method = self.cseq_method if self.is_response else words[0]

    def get(self, name, default=""):
        return next((v for n, v in self.headers if n == name), default)

    def all(self, name):
        return [p for n, v in self.headers if n == name for p in split_list(v)]

    @property
    def call_id(self):
        return self.get("call-id")

    @property
    def cseq(self):
        m = re.match(r"(\d{1,18})\b", self.get("cseq"))
        return int(m.group(1)) if m else -1

    @property
    def cseq_method(self):
        return self.get("cseq").rpartition(" ")[2]

    @property
    def to_tag(self):
        m = re.search(r";\s*tag=([^;>\s]+)", self.get("to").rpartition(">")[2])
        return m.group(1) if m else ""

    @property
    def branch(self):
        m = re.search(r";\s*branch=([^;,\s]+)", (self.all("via") or [""])[0])
        return m.group(1) if m else ""

    @property
    def user(self):
        m = re.match(r"sips?:([^@;>]*)@", self.uri)
        return m.group(1) if m else ""

    def __repr__(self):
        return f"<{self.start} {self.call_id} {self.get('cseq')}>"


def build(start, headers, body=b""):
    lines = [start] + [f"{n}: {v}" for n, v in headers] + [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def uri_of(name_addr):
    m = re.search(r"<([^>]*)>", name_addr)
    return m.group(1) if m else name_addr.split(";")[0].strip()


class FrameError(Exception):
    pass


class Framer:
    """RFC 3261 18.3 framing of a byte stream, strict."""

    def __init__(self):
        self.buf = bytearray()
        self.pongs = 0

    def feed(self, data):
        self.buf += data
        if PP2_SIGNATURE in self.buf:
            raise FrameError("PROXY v2 header in the SIP stream")
        out = []
        while True:
            while self.buf[:2] == b"\r\n":
                del self.buf[:2]
                self.pongs += 1
            end = self.buf.find(b"\r\n\r\n")
            if end < 0:
                return out
            head = bytes(self.buf[:end + 2])
            if looks_proxied(head):
                raise FrameError(f"PROXY header in the SIP stream: {head[:80]!r}")
            found = re.findall(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)[ \t]*\r$", head)
            if len(found) != 1:
                raise FrameError(f"{len(found)} Content-Length in {head[:200]!r}")
            n = end + 4 + int(found[0])
            if len(self.buf) < n:
                return out
            out.append(bytes(self.buf[:n]))
            del self.buf[:n]


# -------------------------------------------------------------- WebSocket

WS_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING, WS_PONG = 1, 2, 8, 9, 10


def ws_frame(payload, opcode=WS_TEXT, masked=False, final=True):
    n = len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    mask_bit = 0x80 if masked else 0
    if n < 126:
        head += bytes([mask_bit | n])
    elif n < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", n)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + ws_mask(payload, key)


def ws_mask(payload, key):
    n = len(payload)
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")


class WsReader:
    def __init__(self, want_mask):
        self.buf = bytearray()
        self.want_mask = want_mask
        self.parts = []

    def feed(self, data):
        """[(opcode, payload)] of complete messages and control frames."""
        self.buf += data
        out = []
        while len(self.buf) >= 2:
            b0, b1 = self.buf[0], self.buf[1]
            masked, n, at = bool(b1 & 0x80), b1 & 0x7f, 2
            if n == 126:
                if len(self.buf) < 4:
                    break
                n, at = struct.unpack(">H", self.buf[2:4])[0], 4
            elif n == 127:
                if len(self.buf) < 10:
                    break
                n, at = struct.unpack(">Q", self.buf[2:10])[0], 10
            if masked != self.want_mask:
                raise FrameError(f"WebSocket mask bit {masked}")
            if b0 & 0x70:
                raise FrameError("WebSocket reserved bits")
            key = b""
            if masked:
                key, at = bytes(self.buf[at:at + 4]), at + 4
            if len(self.buf) < at + n:
                break
            payload = bytes(self.buf[at:at + n])
            del self.buf[:at + n]
            if masked:
                payload = ws_mask(payload, key)
            opcode = b0 & 15
            if opcode >= 8:
                out.append((opcode, payload))
                continue
            self.parts.append(payload)
            if b0 & 0x80:
                out.append((WS_TEXT, b"".join(self.parts)))
                self.parts = []
        return out


def ws_request(host, resource="/", origin="https://edge.test", protocol="sip", key=None):
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {resource} HTTP/1.1", f"Host: {host}", "Upgrade: websocket",
             "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    if protocol:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    if origin:
        lines.append(f"Origin: {origin}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), key


def ws_accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + WS_GUID).digest()).decode()


# ------------------------------------------------------- one stream socket

class Conn(asyncio.Protocol):
    """One TCP, TLS, WS or WSS connection, either end.

    header   bytes written first of all (our own PROXY header)
    pp       None: a PROXY header from the peer is a violation;
             "v1" / "v2" / "any": it is required, read and stripped
    """

    def __init__(self, transport, server, on_message, tls=None, header=b"", pp=None,
                 origin="https://edge.test", keep_raw=False):
        self.kind, self.server, self.on_message = transport, server, on_message
        self.header, self.want_pp, self.origin = header, pp, origin
        self.pp, self.pp_buf = None, bytearray() if pp else None
        self.violations = []
        self.framer, self.rx_raw, self.keep_raw = Framer(), bytearray(), keep_raw
        self.ws, self.ws_key, self.ws_buf = None, None, bytearray()
        self.waiting = []
        self.open = transport == "tcp"
        self.pongs = 0
        self.peer = self.local = None
        loop = asyncio.get_running_loop()
        self.ready, self.closed = loop.create_future(), loop.create_future()
        self.tls = None
        if transport in SECURE:
            self.tls_in, self.tls_out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = tls.wrap_bio(self.tls_in, self.tls_out, server_side=server,
                                    server_hostname=None if server else "edge.test")
            self.tls_done = False

    # -- asyncio callbacks

    def connection_made(self, transport):
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = transport.get_extra_info("peername")[:2]
        self.local = transport.get_extra_info("sockname")[:2]
        if self.header:
            transport.write(self.header)
        if not self.server:
            if self.tls:
                self._tls_step()
            else:
                self._secured()

    def data_received(self, data):
        if self.keep_raw:
            self.rx_raw += data
        try:
            self._below(data)
        except (FrameError, ProxyBad, ssl.SSLError) as e:
            self.violations.append(f"{type(e).__name__}: {e}")
            self.transport.abort()

    def connection_lost(self, exc):
        self.open = False
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"{self.kind}: closed during the handshake"))
            self.ready.exception()      # nobody may be waiting: no warning then
        if not self.closed.done():
            self.closed.set_result(exc)

    # -- layers, bottom up

    def _below(self, data):
        if self.pp_buf is not None:
            self.pp_buf += data
            try:
                self.pp = pp_read(self.pp_buf)
            except ProxyMore:
                return
            if self.want_pp != "any" and f"v{self.pp.version}" != self.want_pp:
                raise ProxyBad(f"version {self.pp.version}, not {self.want_pp}")
            data = bytes(self.pp_buf[len(self.pp.raw):])
            self.pp_buf = None
            if self.server and not self.tls and self.kind == "tcp":
                self._secured()
            if not data:
                return
        elif self.tls and not self.tls_done and looks_proxied(data):
            raise FrameError("PROXY header where TLS was due")
        if not self.tls:
            self._clear(data)
            return
        self.tls_in.write(data)
        self._tls_step()

    def _tls_step(self):
        clear = []
        try:
            if not self.tls_done:
                self.tls.do_handshake()
                self.tls_done = True
                self._flush_tls()
                self._secured()
            while True:
                part = self.tls.read(65536)
                if not part:
                    break
                clear.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            pass
        self._flush_tls()
        if clear:
            self._clear(b"".join(clear))

    def _flush_tls(self):
        out = self.tls_out.read()
        if out and not self.transport.is_closing():
            self.transport.write(out)

    def _secured(self):
        """TCP and TLS are up: start the WebSocket upgrade or declare open."""
        if self.kind not in WEBSOCKET:
            self._opened()
        elif not self.server:
            text, self.ws_key = ws_request("edge.test", origin=self.origin)
            self._write_clear(text)

    def _clear(self, data):
        if self.kind not in WEBSOCKET:
            if not self.open:
                self._opened()
            for raw in self.framer.feed(data):
                self.on_message(self, raw)
            self.pongs = self.framer.pongs
            return
        if self.ws is None:
            self.ws_buf += data
            if looks_proxied(self.ws_buf):
                raise FrameError("PROXY header where HTTP was due")
            end = self.ws_buf.find(b"\r\n\r\n")
            if end < 0:
                return
            self._upgrade(bytes(self.ws_buf[:end]).decode("latin-1"))
            data = bytes(self.ws_buf[end + 4:])
        for opcode, payload in self.ws.feed(data):
            self._ws_message(opcode, payload)

    def _upgrade(self, head):
        fields = {}
        for line in head.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
        if self.server:
            if fields.get("sec-websocket-protocol") != "sip":
                raise FrameError(f"upgrade without subprotocol sip: {head!r}")
            self._write_clear((
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n"
                f"Sec-WebSocket-Accept: {ws_accept(fields.get('sec-websocket-key', ''))}\r\n\r\n"
            ).encode())
        elif not head.startswith("HTTP/1.1 101") or \
                fields.get("sec-websocket-accept") != ws_accept(self.ws_key):
            raise FrameError(f"upgrade refused: {head!r}")
        self.ws = WsReader(want_mask=self.server)
        self._opened()

    def _ws_message(self, opcode, payload):
        if opcode == WS_PING:
            self._write_clear(ws_frame(payload, WS_PONG, masked=not self.server))
        elif opcode == WS_PONG:
            self.pongs += 1
        elif opcode == WS_CLOSE:
            self.transport.close()
        elif looks_proxied(payload):
            raise FrameError("PROXY header inside a WebSocket message")
        elif payload.strip(b"\r\n"):
            self.on_message(self, payload)
        else:
            self.pongs += 1

    def _opened(self):
        self.open = True
        if not self.ready.done():
            self.ready.set_result(self)
        waiting, self.waiting = self.waiting, []
        for payload in waiting:
            self.send(payload)

    # -- sending

    def _write_clear(self, data):
        if self.tls:
            self.tls.write(data)
            self._flush_tls()
        elif not self.transport.is_closing():
            self.transport.write(data)

    def send(self, payload):
        if not self.open:
            self.waiting.append(payload)
        elif self.kind in WEBSOCKET:
            self._write_clear(ws_frame(payload, masked=not self.server))
        else:
            self._write_clear(payload)

    def write_raw(self, data):
        """Bytes below every layer but the kernel's."""
        self.transport.write(data)

    def close(self):
        if getattr(self, "transport", None):
            self.transport.abort()


class Udp(asyncio.DatagramProtocol):
    """A datagram socket; `pp` as in Conn, "spp" for replies of SPP listeners."""

    def __init__(self, on_message, header=b"", pp=None):
        self.kind, self.on_message, self.header, self.want_pp = "udp", on_message, header, pp
        self.violations, self.received = [], 0

    def connection_made(self, transport):
        self.transport = transport
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data, source):
        self.received += 1
        header = None
        try:
            if self.want_pp == "spp":
                header = spp_read(data)
            elif self.want_pp and data[:8] == b"SIP/2.0 ":
                pass            # a response is due bare, whatever requests carry
            elif self.want_pp:
                header = pp_read(data)
                if self.want_pp != "any" and f"v{header.version}" != self.want_pp:
                    raise ProxyBad(f"version {header.version}, not {self.want_pp}")
            elif looks_proxied(data):
                raise ProxyBad("a header where none is due")
        except (ProxyBad, ProxyMore) as e:
            self.violations.append(f"datagram from {source}: {e!r}: {data[:60]!r}")
            return
        payload = data[len(header.raw):] if header else data
        if header and header.version != "spp" and payload[:8] == b"SIP/2.0 ":
            self.violations.append(f"a response with a header from {source}: {data[:60]!r}")
            return
        if payload.strip(b"\r\n"):
            self.on_message(UdpFlow(self, source, header), payload)

    def error_received(self, exc):
        pass        # an ICMP error of a restarted peer; retransmission mends it

    def sendto(self, payload, to):
        self.transport.sendto(self.header + payload, to)

    def close(self):
        self.transport.abort()


@dataclass
class UdpFlow:
    """Where one datagram came from, so that an answer goes back there."""
    endpoint: Udp
    source: tuple
    pp: ProxyHeader
    kind: str = "udp"

    def send(self, payload):
        self.endpoint.sendto(payload, self.source)


# -------------------------------------------------------------------- UAS

@dataclass
class Seen:
    msg: Msg
    pp: ProxyHeader
    link: object
    at: float


class Uas:
    """The platform behind the edge: records every message with the PROXY
    header it came with, and answers by the last word of the user part:

        ...-ok    180, 200       ...-busy  180, 486
        ...-ring  180, then waits for CANCEL: 200 and 487
        else      200; MESSAGE, OPTIONS, BYE, re-INVITE too
    """

    def __init__(self, kind, pp=None, host="127.0.0.1", tls=None, port=None):
        self.kind, self.pp, self.host, self.tls = kind, pp, host, tls
        self.port = port or free_port(host)
        self.seen, self.conns, self.by_call = [], [], {}
        self.answered, self.pending, self.ignored = {}, {}, {}
        self.deaf_first = 0         # datagrams of each transaction to ignore
        self.stopped_violations = []
        self.reply_headers = []     # more headers for every final answer
        self.public_port = None     # announced in Contact when a proxy stands in front
        self.sdp = None             # a body for 200 to INVITE
        self.quiet = False          # record, never answer
        self.server = self.endpoint = None
        self._tags = itertools.count(1)
        self._news = asyncio.Event()

    async def start(self, backlog=1024, rcvbuf=0):
        loop = asyncio.get_running_loop()
        if self.kind == "udp":
            sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET,
                                 socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf or 4 << 20)
            sock.bind((self.host, self.port))
            _, self.endpoint = await loop.create_datagram_endpoint(
                lambda: Udp(self._message, pp=self.pp), sock=sock)
        else:
            self.server = await loop.create_server(self._accept, sock=self.listening(rcvbuf),
                                                   backlog=backlog)
        return self

    def listening(self, rcvbuf=0):
        sock = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.bind((self.host, self.port))
        sock.setblocking(False)
        return sock

    def _accept(self):
        conn = Conn(self.kind, True, self._message, tls=self.tls, pp=self.pp)
        self.conns.append(conn)
        return conn

    def pause(self, paused=True):
        """Stop (or go on) reading from every connection there is."""
        for c in self.conns:
            if not c.transport.is_closing():
                (c.transport.pause_reading if paused else c.transport.resume_reading)()

    def stop(self):
        if self.server:
            self.server.close()
        for c in self.conns:
            c.close()
        if self.endpoint:
            self.stopped_violations += self.endpoint.violations
            self.endpoint.close()
        self.server = self.endpoint = None

    def take_violations(self):
        """Those so far, forgotten afterwards: one fault fails one test."""
        found = self.violations
        self.stopped_violations = []
        for holder in self.conns + ([self.endpoint] if self.endpoint else []):
            holder.violations.clear()
        return found

    @property
    def violations(self):
        return (self.stopped_violations + [v for c in self.conns for v in c.violations] +
                (self.endpoint.violations if self.endpoint else []))

    @property
    def uri(self):
        t = "" if self.kind == "udp" else f";transport={self.kind}"
        return f"sip:{host_text(self.host)}:{self.public_port or self.port}{t}"

    def uri_for(self, user):
        return self.uri.replace("sip:", f"sip:{user}@")

    def _message(self, link, raw):
        msg = Msg(raw)
        seen = Seen(msg, link.pp, link, time.monotonic())
        self.seen.append(seen)
        self.by_call.setdefault(msg.call_id, []).append(seen)
        self._news.set()
        if msg.is_response or self.quiet:
            return
        key = (msg.call_id, msg.cseq, msg.method)
        if self.kind == "udp" and self.ignored.get(key, 0) < self.deaf_first:
            self.ignored[key] = self.ignored.get(key, 0) + 1
            return
        if msg.method == "ACK":
            return
        if key in self.answered:
            for text in self.answered[key]:
                link.send(text)
            return
        self.respond(link, msg, key)

    def respond(self, link, msg, key):
        word = msg.user.rpartition("-")[2]
        if msg.method == "CANCEL":
            self.answer(link, msg, 200, "OK", key)
            ringing = self.pending.pop((msg.call_id, msg.cseq), None)
            if ringing:
                self.answer(ringing[0], ringing[1], 487, "Request Terminated",
                            (msg.call_id, msg.cseq, "INVITE"))
        elif msg.method == "INVITE" and not msg.to_tag:
            self.answer(link, msg, 180, "Ringing", key)
            if word == "ring":
                self.pending[(msg.call_id, msg.cseq)] = (link, msg)
            elif word == "busy":
                self.answer(link, msg, 486, "Busy Here", key)
            else:
                self.answer(link, msg, 200, "OK", key)
        else:
            self.answer(link, msg, 200, "OK", key)

    def answer(self, link, msg, code, reason, key):
        to = msg.get("to")
        if not msg.to_tag:
            tag = self.by_call[msg.call_id][0]
            tag.tag = getattr(tag, "tag", None) or f"u{next(self._tags)}"
            to += f";tag={tag.tag}"
        headers = [("Via", v) for v in msg.all("via")]
        headers += [("Record-Route", v) for v in msg.all("record-route")]
        headers += [("From", msg.get("from")), ("To", to), ("Call-ID", msg.call_id),
                    ("CSeq", msg.get("cseq"))]
        body = b""
        if msg.method == "INVITE" and code < 300:
            headers.append(("Contact", f"<{self.uri_for(msg.user or 'uas')}>"))
        if code == 200:
            headers += self.reply_headers
        if msg.method == "INVITE" and code == 200 and self.sdp:
            headers.append(("Content-Type", "application/sdp"))
            body = self.sdp(msg) if callable(self.sdp) else self.sdp
        text = build(f"SIP/2.0 {code} {reason}", headers, body)
        self.answered.setdefault(key, []).append(text)
        link.send(text)

    async def hang_up(self, call_id, timeout=PATIENCE):
        """BYE from the callee, the way the INVITE came; its final response."""
        invite = next(s for s in self.by_call[call_id] if s.msg.method == "INVITE")
        ok = Msg(self.answered[call_id, invite.msg.cseq, "INVITE"][-1])
        t = self.kind.upper()
        text = build(f"BYE {uri_of(invite.msg.get('contact'))} SIP/2.0", [
            ("Via", f"SIP/2.0/{t} {host_text(self.host)}:{self.port};branch=z9hG4bK{os.urandom(8).hex()};rport"),
            ("Max-Forwards", "70")] + [("Route", r) for r in ok.all("record-route")] + [
            ("From", ok.get("to")), ("To", ok.get("from")), ("Call-ID", call_id), ("CSeq", "1 BYE")])
        for pause in (0.5, 1, 2, timeout):
            invite.link.send(text)
            try:
                return await self.reply(call_id, "BYE", pause if self.kind == "udp" else timeout)
            except AssertionError:
                if self.kind != "udp" or pause == timeout:
                    raise

    async def reply(self, call_id, method, timeout):
        found = await self.wait(call_id, method, timeout=timeout,
                                which=lambda m: m.is_response and m.status >= 200)
        return found[0].msg

    async def wait(self, call_id, method, count=1, timeout=PATIENCE,
                   which=lambda m: not m.is_response):
        """The first `count` messages of that method in that call."""
        end = time.monotonic() + timeout
        while True:
            found = [s for s in self.by_call.get(call_id, ())
                     if s.msg.method == method and which(s.msg)]
            if len(found) >= count:
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"upstream {self.kind}: {method} of {call_id} did not arrive "
                                     f"({[s.msg.start for s in self.by_call.get(call_id, ())]})")
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except asyncio.TimeoutError:
                pass


# -------------------------------------------------------------------- UAC

class Client:
    """A phone, browser or load balancer leg in front of the edge."""

    def __init__(self, kind, edge, pp=None, announced=None, bind="127.0.0.1", tls=None,
                 origin="https://edge.test", header=None, expect_pp=None):
        self.kind, self.edge, self.bind, self.tls = kind, edge, bind, tls
        self.pp, self.announced, self.origin = pp, announced, origin
        self.expect_pp = expect_pp
        self.header = header if header is not None else \
            pp_write(pp, announced, ("203.0.113.9", 5060), kind == "udp") if pp else b""
        self.calls, self.stray, self.link = {}, [], None

    async def open(self, timeout=PATIENCE):
        loop = asyncio.get_running_loop()
        if self.kind == "udp":
            _, self.link = await loop.create_datagram_endpoint(
                lambda: Udp(self._message, header=self.header, pp=self.expect_pp),
                local_addr=(self.bind, 0))
        else:
            _, self.link = await loop.create_connection(
                lambda: Conn(self.kind, False, self._message, tls=self.tls, header=self.header,
                             origin=self.origin),
                *self.edge, local_addr=(self.bind, 0))
            await asyncio.wait_for(asyncio.shield(self.link.ready), timeout)
        self.local = self.link.local
        return self

    @property
    def real(self):
        """The client's address as the edge should know it."""
        return self.announced if self.pp else tuple(self.local)

    @property
    def violations(self):
        return self.link.violations if self.link else []

    def _message(self, link, raw):
        msg = Msg(raw)
        call = self.calls.get(msg.call_id)
        if call is None:
            self.stray.append(msg)
        elif msg.is_response:
            call.inbox.put_nowait(msg)
        else:
            call.requests.append(msg)
            self.send(build("SIP/2.0 200 OK", [("Via", v) for v in msg.all("via")] + [
                ("From", msg.get("from")), ("To", msg.get("to")), ("Call-ID", msg.call_id),
                ("CSeq", msg.get("cseq"))]))

    def send(self, payload):
        if self.kind == "udp":
            self.link.sendto(payload, self.edge)
        else:
            self.link.send(payload)

    def close(self):
        if self.link:
            self.link.close()

    @property
    def sent_by(self):
        """What the client believes its address is: behind a balancer nobody
        can reach it there, everything must come back the way it went."""
        if self.kind in WEBSOCKET:
            return "browser.invalid"
        host, port = self.real or self.local
        return f"{host_text(host)}:{port}"

    @property
    def contact(self):
        t = "" if self.kind == "udp" else f";transport={'ws' if self.kind in WEBSOCKET else self.kind}"
        return f"<sip:caller@{self.sent_by}{t}>"


_call_numbers = itertools.count(1)


class Call:
    """One dialog as the caller sees it."""

    def __init__(self, client, uri, name="", call_id=None, headers=()):
        self.client, self.uri, self.more = client, uri, list(headers)
        n = next(_call_numbers)
        self.id = call_id or f"{name or client.kind}.{n}.{os.getpid()}@sipkit.test"
        self.from_ = f"<sip:caller@sipkit.test>;tag=c{n}"
        self.to = f"<{uri}>"
        self.cseq, self.routes, self.target = 0, [], uri
        self.inbox, self.requests = asyncio.Queue(), []
        self.provisional = []
        client.calls[self.id] = self

    def request(self, method, cseq=None, branch=None, body=b"", headers=()):
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        branch = branch or f"z9hG4bK{os.urandom(8).hex()}"
        c = self.client
        fields = [("Via", f"SIP/2.0/{c.kind.upper()} {c.sent_by};branch={branch};rport"),
                  ("Max-Forwards", "70")]
        fields += [("Route", r) for r in self.routes]
        fields += [("From", self.from_), ("To", self.to), ("Call-ID", self.id),
                   ("CSeq", f"{cseq} {method}"), ("Contact", c.contact)]
        fields += self.more + list(headers)
        if body:
            fields.append(("Content-Type", "text/plain"))
        return build(f"{method} {self.target} SIP/2.0", fields, body), cseq, branch

    async def response(self, cseq, method, final=True, sent=None, timeout=PATIENCE):
        """The next response (final or not) to that request.  A datagram is
        repeated every 500 ms until something comes back, as RFC 3261 asks."""
        end = time.monotonic() + timeout
        pause = 0.5
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.client.kind}: no answer to {method} {cseq} of "
                                     f"{self.id}; had {[m.start for m in self.provisional]}, "
                                     f"violations {self.client.violations}")
            get = asyncio.ensure_future(self.inbox.get())
            watch = [get]
            if self.client.kind != "udp":
                watch.append(self.client.link.closed)
            await asyncio.wait(watch, timeout=min(left, pause if sent and self.client.kind == "udp" else left),
                               return_when=asyncio.FIRST_COMPLETED)
            if not get.done():
                get.cancel()
                if self.client.kind != "udp" and self.client.link.closed.done():
                    raise ConnectionError(f"{self.client.kind}: closed while waiting for the answer "
                                          f"to {method} of {self.id} {self.client.violations}")
                if sent and self.client.kind == "udp" and left > pause:
                    self.client.send(sent)
                    pause = min(pause * 2, 4)
                continue
            msg = get.result()
            if msg.cseq != cseq or msg.cseq_method != method:
                continue
            if msg.status < 200:
                self.provisional.append(msg)
                sent = None
                if final:
                    continue
            return msg

    async def ask(self, method, timeout=PATIENCE, **kw):
        """A non-INVITE request and its final response."""
        text, cseq, _ = self.request(method, **kw)
        self.client.send(text)
        return await self.response(cseq, method, sent=text, timeout=timeout)

    def learn(self, msg):
        self.to = msg.get("to")
        self.routes = list(reversed(msg.all("record-route")))
        if msg.get("contact"):
            self.target = uri_of(msg.all("contact")[0])

    async def invite(self, timeout=PATIENCE, **kw):
        """INVITE to its final response; ACKs it."""
        first = self.cseq == 0
        text, cseq, branch = self.request("INVITE", **kw)
        self.client.send(text)
        self.invited = (text, cseq, branch)
        msg = await self.response(cseq, "INVITE", sent=text, timeout=timeout)
        if msg.status < 300 and first:
            self.learn(msg)
        self.ack(msg, cseq, branch)
        return msg

    def ack(self, msg, cseq, branch):
        """Same branch for a negative answer (RFC 3261 17.1.1.3), a new one for 2xx."""
        to, self.to = self.to, msg.get("to")
        text, _, _ = self.request("ACK", cseq=cseq, branch=branch if msg.status >= 300 else None)
        if msg.status >= 300:
            self.to = to
        self.client.send(text)

    async def invite_until_ringing(self, timeout=PATIENCE):
        text, cseq, branch = self.request("INVITE")
        self.client.send(text)
        self.invited = (text, cseq, branch)
        while True:
            msg = await self.response(cseq, "INVITE", final=False, sent=text, timeout=timeout)
            if msg.status != 100:
                return msg

    async def cancel(self, timeout=PATIENCE):
        """CANCEL after invite_until_ringing(); the INVITE's final, ACKed."""
        _, cseq, branch = self.invited
        text, _, _ = self.request("CANCEL", cseq=cseq, branch=branch)
        self.client.send(text)
        finals = {}
        end = time.monotonic() + timeout
        while len(finals) < 2:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"CANCEL of {self.id}: only {finals}")
            try:
                msg = await asyncio.wait_for(self.inbox.get(), min(left, 0.5))
            except asyncio.TimeoutError:
                if self.client.kind == "udp" and "CANCEL" not in finals:
                    self.client.send(text)
                continue
            if msg.status >= 200:
                finals.setdefault(msg.cseq_method, msg)
        self.ack(finals["INVITE"], cseq, branch)
        return finals["CANCEL"], finals["INVITE"]


# ------------------------------------------------------------ whole flows

async def answered_call(client, uri, uas, reinvite=True, headers=()):
    """INVITE 180 200 ACK [re-INVITE 200 ACK] BYE 200."""
    call = Call(client, uri, headers=headers)
    ok = await call.invite()
    assert ok.status == 200, ok.start
    assert 180 in [m.status for m in call.provisional], call.provisional
    await uas.wait(call.id, "ACK")
    if reinvite:
        ok = await call.invite()
        assert ok.status == 200, ok.start
        await uas.wait(call.id, "ACK", 2)
    bye = await call.ask("BYE")
    assert bye.status == 200, bye.start
    return call


async def hung_up_call(client, uri, uas):
    """INVITE 180 200 ACK, then BYE from the callee towards the client."""
    call = Call(client, uri)
    ok = await call.invite()
    assert ok.status == 200, ok.start
    await uas.wait(call.id, "ACK")
    bye = await uas.hang_up(call.id)
    assert bye.status == 200, bye.start
    assert [m.method for m in call.requests] == ["BYE"]
    return call


async def busy_call(client, uri, uas):
    call = Call(client, uri)
    busy = await call.invite()
    assert busy.status == 486, busy.start
    await uas.wait(call.id, "ACK")
    return call


async def cancelled_call(client, uri, uas):
    call = Call(client, uri)
    ringing = await call.invite_until_ringing()
    assert ringing.status == 180, ringing.start
    ok, gone = await call.cancel()
    assert (ok.status, gone.status) == (200, 487), (ok.start, gone.start)
    await uas.wait(call.id, "CANCEL")
    await uas.wait(call.id, "ACK")
    return call
