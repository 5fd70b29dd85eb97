#!/usr/bin/env python3
"""Write edge.vec: vectors at the edges of the grammar, each verdict stated here by hand from the specification.

Usage: generate.py > edge.vec     (the columns are explained in spec.vec)
       generate.py --seeds DIR    (each vector of both files as one file, to start a fuzzer with)
"""
import ipaddress
import pathlib
import struct
import sys

SIG = b"\r\n\r\n\0\r\nQUIT\n"
SIP = b"OPTIONS sip:x@y SIP/2.0\r\n\r\n"
rows, names = [], set()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def tlv(kind, value=b""):
    return struct.pack("!BH", kind, len(value)) + value


def ip(text):
    return ipaddress.ip_address(text).packed


def block(src, sport, dst, dport):
    return ip(src) + ip(dst) + struct.pack("!HH", sport, dport)


def v2(cmd, famproto, body, ver=2, length=None):
    return SIG + bytes([ver << 4 | cmd, famproto]) + struct.pack("!H", len(body) if length is None else length) + body


def with_crc(header):
    """Fill the CRC32C TLV (found by its zeroed value `03 0004 00000000`)."""
    at = header.index(b"\x03\x00\x04\0\0\0\0") + 3
    return header[:at] + struct.pack("!I", crc32c(header)) + header[at + 4:]


def row(name, carrier, verdict, data, reason=None, version=None, family=None, proto=None, src=None, sport=None,
        dst=None, dport=None, consumed=0, tlvs=()):
    assert name not in names, name
    names.add(name)
    text = ",".join(f"{t:02x}={v.hex()}" for t, v in tlvs) or "-"
    cells = [name, carrier, verdict, reason, version, family, proto, src, sport, dst, dport, consumed, text,
             data.hex() or "-"]
    rows.append(" ".join("-" if c is None else str(c) for c in cells))


def canonical(text):
    a = ipaddress.ip_address(text)
    return f"::ffff:{a.ipv4_mapped}" if a.version == 6 and a.ipv4_mapped else str(a)


# ---- version 1 ----

def line(word, src, dst, sport, dport, end="\r\n"):
    return f"PROXY {word} {src} {dst} {sport} {dport}{end}".encode()


def v1_ok(name, word, src, dst, sport, dport, carrier="stream", payload=b""):
    head = line(word, src, dst, sport, dport)
    row(name, carrier, "ok", head + payload, None, 1, {"TCP4": "INET", "TCP6": "INET6"}[word], "STREAM",
        canonical(src), int(sport), canonical(dst), int(dport), len(head))


def v1_bad(name, data, reason, carrier="stream"):
    row(name, carrier, "error", data if isinstance(data, bytes) else data.encode(), reason, 1)


def version1():
    for i, (s, d) in enumerate([("255.255.255.255", "255.255.255.255"), ("1.1.1.1", "9.9.9.9"), ("10.20.30.40", "127.0.0.1"),
                                ("224.0.0.1", "0.0.0.0"), ("100.100.100.100", "200.200.200.200")]):
        v1_ok(f"e1_tcp4_{i}", "TCP4", s, d, "65535", "1")
    for i, a in enumerate(["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1::8", "1:2::7:8", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7::",
                           "FFFF:ffff:FfFf:fFfF:0:00:000:0000", "0:0:0:0:0:0:0:0", "0001:0002:0003:0004:0005:0006:0007:0008",
                           "ff02::1", "fe80::1", "2001:DB8::A", "::ffff:192.0.2.1", "0:0:0:0:0:ffff:255.255.255.255",
                           "::FFFF:0.0.0.0", "0::ffff:1.2.3.4", "64:ff9b::c000:201", "::1:0:0:0"]):
        v1_ok(f"e1_tcp6_src_{i}", "TCP6", a, "2001:db8::2", "1", "2")
        v1_ok(f"e1_tcp6_dst_{i}", "TCP6", "2001:db8::2", a, "0", "65535", "dgram", SIP)
    v1_ok("e1_longest_tcp6", "TCP6", *["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] * 2, "65535", "65535")
    v1_ok("e1_payload_crlfcrlf", "TCP4", "1.2.3.4", "5.6.7.8", "1", "2", payload=b"\r\n\r\n")
    v1_ok("e1_payload_v1_again", "TCP4", "1.2.3.4", "5.6.7.8", "1", "2", payload=b"PROXY TCP4 9.9.9.9 9.9.9.9 9 9\r\n")

    bad4 = ["", ".", "1", "1.2", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.1000", "1.2.3.04", "00.0.0.0",
            "1.2.3.4/32", "0x1.2.3.4", "1.2.3.-4", "1.2.3.4%0", "[1.2.3.4]", "1,2,3,4", "a.b.c.d", "999999999999999999999.1.1.1",
            "1.2.3.4:5", "1.2.3.4\x00", "1.2.3.4\t", "1\xb2.2.3.4"]
    for i, a in enumerate(bad4):
        v1_bad(f"e1_src4_bad_{i}", line("TCP4", a, "1.1.1.1", 1, 2), "bad_src")
        v1_bad(f"e1_dst4_bad_{i}", line("TCP4", "1.1.1.1", a, 1, 2), "bad_dst")
    bad6 = ["", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:", "::1::", "1::2::3", ":1::2", "1::2:", "12345::",
            "::12345", "::g", "[::1]", "::1%1", "::1/128", "1:2:3:4:5:6:7:8::", "::2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "::1.2.3.4",
            "::1:1.2.3.4", "::ffff:1.2.3", "::ffff:1.2.3.04", "::ffff:1.2.3.256", "::ffff:1.2.3.4.5", "::ffff:1.2.3.4:1",
            "ffff::1.2.3.4", "1::ffff:1.2.3.4", "1:2:3:4:5:6:ffff:1.2.3.4", "0:0:0:0:ffff:1.2.3.4", "::fffe:1.2.3.4", "1.2.3.4"]
    for i, a in enumerate(bad6):
        v1_bad(f"e1_src6_bad_{i}", line("TCP6", a, "::1", 1, 2), "bad_src")
    for i, a in enumerate(bad6[:16]):
        v1_bad(f"e1_dst6_bad_{i}", line("TCP6", "::1", a, 1, 2), "bad_dst")
    for i, p in enumerate(["", "00", "01", "65536", "65540", "99999", "100000", "18446744073709551617", "+1", "-0", "1.", " 1", "1e3", "0x1",
                           "1\x00", "\uff11"]):
        v1_bad(f"e1_sport_bad_{i}", line("TCP4", "1.1.1.1", "2.2.2.2", p, 2), "bad_sport")
        v1_bad(f"e1_dport_bad_{i}", line("TCP4", "1.1.1.1", "2.2.2.2", 1, p), "bad_dport")
    for i, w in enumerate(["tcp4", "TCP", "TCP4TCP4", "TCP4\t", "TCP7", "UDP6", "UNIX", "unknown", "UNKNOW\r\n", "UNKNOWNS", "UNSPEC", "\r\n",
                           " TCP4", "TCP 4", "SCTP4"]):
        v1_bad(f"e1_word_bad_{i}", line(w, "1.1.1.1", "2.2.2.2", 1, 2), "bad_protocol")
    for i, end in enumerate(["\n", "\r\r", "\r\r\n", "\n\r", "\rX\n"]):
        v1_bad(f"e1_end_bad_{i}", line("TCP4", "1.1.1.1", "2.2.2.2", 1, 2, end), "bad_terminator")
        v1_bad(f"e1_unknown_end_bad_{i}", b"PROXY UNKNOWN" + end.encode(), "bad_terminator")
    v1_bad("e1_six_fields", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "bad_dport")
    v1_bad("e1_too_long_dotted", line("TCP6", "0000:0000:0000:0000:0000:ffff:255.255.255.255",
                                      "0000:0000:0000:0000:0000:ffff:255.255.255.255", 65535, 65535), "too_long")
    # The end of the line is out of reach before the bad port is: the first certain reason stands.
    v1_bad("e1_too_long_then_bad", line("TCP6", "0000:0000:0000:0000:0000:ffff:255.255.255.255",
                                        "0000:0000:0000:0000:0000:ffff:255.255.255.255", "65 TCP6", 1), "too_long")
    for n in (0, 1, 80, 91):
        head = b"PROXY UNKNOWN " + b"x" * n + b"\r\n"
        row(f"e1_unknown_{n}", "stream", "unknown", head + SIP, None, 1, "UNSPEC", "UNSPEC", consumed=len(head))
    v1_bad("e1_unknown_92", b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "too_long")
    v1_bad("e1_unknown_no_end", b"PROXY UNKNOWN " + b"x" * 5000, "too_long")
    row("e1_unknown_cr_inside", "stream", "unknown", b"PROXY UNKNOWN \r\r\rx\r\r\n", None, 1, "UNSPEC", "UNSPEC", consumed=21)
    row("e1_unknown_full_tcp6", "stream", "unknown",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None, 1, "UNSPEC", "UNSPEC", consumed=59)
    row("e1_unknown_106_with_cr", "stream", "need_more", b"PROXY UNKNOWN " + b"x" * 91 + b"\r", None, 1)
    for data in (b"P", b"PROXY ", b"PROXY T", b"PROXY TCP4 ", b"PROXY TCP4 255", b"PROXY TCP6 ", b"PROXY TCP6 :", b"PROXY TCP6 ::ffff:1.",
                 b"PROXY UNKNOWN", b"PROXY UNKNOWN\r", line("TCP4", "1.1.1.1", "2.2.2.2", 1, 2, "\r")):
        tag = data.decode().strip().replace(" ", "_").replace("\r", "").replace(":", "c").replace(".", "d").lower()
        suffix = "_cr" if data.endswith(b"\r") else "_sp" if data.endswith(b" ") else ""
        version = 1 if data.startswith(b"PROXY ") else None
        row(f"e1_more_{tag}{suffix}", "stream", "need_more", data, None, version)
        row(f"e1_cut_{tag}{suffix}", "dgram", "error", data, "truncated" if version else "no_header", version)


# ---- version 2 ----

FAMILIES = {0x11: ("INET", "STREAM"), 0x12: ("INET", "DGRAM"), 0x21: ("INET6", "STREAM"), 0x22: ("INET6", "DGRAM")}
A4, A6 = ("203.0.113.7", 1, "198.51.100.9", 65535), ("2001:db8:1::7", 5060, "2001:db8:2::9", 0)


def v2_ok(name, famproto, addresses, tlvs=(), carrier="stream", payload=b"", header=None):
    raw = b"".join(tlv(t, v) for t, v in tlvs)
    head = header or v2(1, famproto, block(*addresses) + raw)
    src, sport, dst, dport = addresses
    row(name, carrier, "ok", head + payload, None, 2, *FAMILIES[famproto], canonical(src), sport, canonical(dst), dport,
        len(head), tlvs)


def v2_bad(name, data, reason, carrier="stream"):
    row(name, carrier, "error", data, reason, 2)


def version2():
    for fam in FAMILIES:
        a = A4 if fam < 0x20 else A6
        v2_ok(f"e2_{fam:02x}_dgram_payload", fam, a, carrier="dgram", payload=SIP)
        v2_ok(f"e2_{fam:02x}_then_tls", fam, a, payload=bytes.fromhex("160301020001000001fc0303"))
        v2_ok(f"e2_{fam:02x}_every_tlv", fam, a, [(t, bytes([t])) for t in range(256) if t not in (3, 0x20)])
        v2_ok(f"e2_{fam:02x}_tlv_2000", fam, a, [(0x28, b"\x30" * 2000)], payload=SIP)
        good = with_crc(v2(1, fam, block(*a) + tlv(5, b"id") + tlv(3, bytes(4)) + tlv(4, b"\0" * 9)))
        crc = good[good.index(b"\x03\x00\x04") + 3:][:4]
        v2_ok(f"e2_{fam:02x}_crc", fam, a, [(5, b"id"), (3, crc), (4, b"\0" * 9)], header=good)
        for at in (13, 15, 16, len(good) - 1):
            broken = bytearray(good + SIP)
            broken[at] ^= {13: 3, 15: 1}.get(at, 0x80)
            # A changed length moves the end of the header; the padding TLV no longer fits.
            v2_bad(f"e2_{fam:02x}_crc_flip_{at}", bytes(broken), "bad_tlv" if at == 15 else "bad_crc")
        need = 12 if fam < 0x20 else 36
        for n in (0, 1, need // 2, need - 1):
            v2_bad(f"e2_{fam:02x}_short_{n}", v2(1, fam, block(*a)[:n]) + SIP * 3, "short_address", "dgram")
        full = v2(1, fam, block(*a))
        for n in (14, 16, 20, len(full) - 1):
            row(f"e2_{fam:02x}_more_{n}", "stream", "need_more", full[:n], None, 2)
            v2_bad(f"e2_{fam:02x}_cut_{n}", full[:n], "truncated", "dgram")
        for n, stray in enumerate([b"\x05", b"\x05\0", b"\x05\0\1", b"\x05\xff\xff", b"\x05\0\2x", b"\0"]):
            v2_bad(f"e2_{fam:02x}_stray_{n}", v2(1, fam, block(*a) + tlv(2, b"h") + stray) + SIP, "bad_tlv")
    for t, value in [(3, b""), (3, b"\0" * 3), (5, b"u" * 129), (0x20, b"\1\0\0\0"), (0x20, b"\1\0\0\0\0\x21"), (0x20, b"\1\0\0\0\0\x21\0\1"),
                     (0x20, b"\1\0\0\0\0" + tlv(0x21, b"x") + b"\0")]:
        v2_bad(f"e2_tlv_{t:02x}_len_{len(value)}", v2(1, 0x11, block(*A4) + tlv(t, value)) + SIP, "bad_tlv")
    twice = v2(1, 0x11, block(*A4) + tlv(3, bytes(4)) * 2)
    v2_bad("e2_crc_twice", with_crc(twice), "bad_tlv")
    v2_ok("e2_unique_id_128", 0x12, A4, [(5, b"u" * 128)])
    v2_ok("e2_alpn_authority_empty", 0x12, A4, [(1, b""), (2, b"")])
    subs = tlv(0x21, b"TLSv1.3") + tlv(0x22, "jos\u00e9".encode()) + tlv(0x23, b"TLS_AES_128_GCM_SHA256")
    v2_ok("e2_ssl_verified", 0x11, A4, [(0x20, b"\7\0\0\0\0" + subs)])
    v2_ok("e2_ssl_not_verified", 0x11, A4, [(0x20, b"\7\0\0\0\x0a" + subs)])
    v2_ok("e2_azure", 0x11, A4, [(0xEE, b"\1\x78\x56\x34\x12")])
    v2_ok("e2_alibaba", 0x11, A4, [(0xE1, b"ep-2ze")])
    v2_ok("e2_stacked_v2", 0x11, A4, payload=v2(1, 0x11, block(*A4)))

    for ver in [v for v in range(16) if v != 2]:
        v2_bad(f"e2_version_{ver}", v2(1, 0x11, block(*A4), ver=ver), "bad_version")
    for cmd in range(2, 15):
        v2_bad(f"e2_command_{cmd}", v2(cmd, 0x11, block(*A4)), "bad_command")
    for fam in (0x03, 0x0F, 0x13, 0x1E, 0x23, 0x2F, 0x34, 0x40, 0x42, 0x80, 0xFF):
        v2_bad(f"e2_family_{fam:02x}", v2(1, fam, bytes(216)), "bad_family")
    v2_bad("e2_command_first_13_bytes", v2(2, 0x11, b"")[:13], "bad_command")
    v2_bad("e2_family_first_14_bytes", v2(1, 0x41, b"")[:14], "bad_family")
    v2_bad("e2_short_first_16_bytes", v2(1, 0x11, b"", length=11), "short_address")

    for fam, name, proto in ((0x00, "UNSPEC", "UNSPEC"), (0x02, "UNSPEC", "DGRAM"), (0x10, "INET", "UNSPEC"), (0x20, "INET6", "UNSPEC"),
                             (0x30, "UNIX", "UNSPEC"), (0x31, "UNIX", "STREAM"), (0x32, "UNIX", "DGRAM")):
        body = bytes({0: 0, 1: 12, 2: 36, 3: 216}[fam >> 4])
        head = v2(1, fam, body + tlv(2, b"host"))
        row(f"e2_unused_{fam:02x}", "stream", "unknown", head + SIP, None, 2, name, proto, consumed=len(head),
            tlvs=[(2, b"host")] if body else [])
        if body:
            v2_bad(f"e2_unused_{fam:02x}_short", v2(1, fam, body[1:]), "short_address")
    head = v2(1, 0, b"\xff" * 40)
    row("e2_unspec_opaque_block", "stream", "unknown", head + SIP, None, 2, "UNSPEC", "UNSPEC", consumed=len(head))
    head = with_crc(v2(1, 0, tlv(3, bytes(4))))
    row("e2_unspec_crc", "stream", "unknown", head + SIP, None, 2, "UNSPEC", "UNSPEC", consumed=len(head))
    v2_bad("e2_unspec_bad_crc", v2(1, 0, tlv(3, bytes(4))) + SIP, "bad_crc")
    v2_bad("e2_unix_215", v2(1, 0x31, bytes(215)), "short_address")
    v2_bad("e2_unix_stray_tlv", v2(1, 0x31, bytes(216) + b"\2"), "bad_tlv")

    for i, (fam, body) in enumerate([(0x11, b""), (0x11, block(*A4)), (0x12, b"\xff" * 5), (0x22, block(*A6)), (0x31, bytes(216)),
                                     (0xFF, b"\xff" * 300), (0x00, b"\x03\0\4\0\0\0\0"), (0x11, block(*A4) + b"\x05\0\xff"),
                                     (0x00, b"\x20\0\0"), (0x11, b"\0" * 4094)]):
        head = v2(0, fam, body)
        row(f"e2_local_{i}", "stream" if i % 2 else "dgram", "local", head + SIP, None, 2, consumed=len(head))
    head = v2(0, 0x11, block(*A4) + tlv(2, b"probe"))
    row("e2_local_tlv", "stream", "local", head, None, 2, consumed=len(head), tlvs=[(2, b"probe")])
    row("e2_local_more", "stream", "need_more", head[:-1], None, 2)
    v2_bad("e2_local_cut", head[:-1], "truncated", "dgram")

    for at in range(12):
        broken = bytearray(v2(1, 0x11, block(*A4)))
        broken[at] ^= 0x20
        row(f"e2_signature_{at}", "stream", "error", bytes(broken[:at + 1]), "no_header")
    for n in range(1, 12):
        row(f"e2_signature_cut_{n}", "dgram", "error", SIG[:n], "no_header")
    for name, data in (("ping_4", b"\r\n\r\n"), ("ping_2", b"\r\n"), ("empty", b"")):
        row(f"e2_{name}_stream", "stream", "need_more", data)
        row(f"e2_{name}_dgram", "dgram", "error", data, "no_header")
    for name, data in (("ping_then_sip", b"\r\n\r\n" + SIP), ("tls", bytes.fromhex("1603010200010001fc0303")), ("get", b"GET / HTTP/1.1\r\n"),
                       ("publish", b"PUBLISH sip:x SIP/2.0\r\n"), ("prack", b"PRACK sip:x SIP/2.0\r\n"), ("proxy_sip", b"PROXYx")):
        row(f"e2_{name}_stream", "stream", "error", data, "no_header")
        row(f"e2_{name}_dgram", "dgram", "error", data, "no_header")


# ---- SPP ----

def spp(src, dst, sport, dport):
    def wide(a):
        return ip("::ffff:" + a) if "." in a else ip(a)
    return b"\x56\xec" + wide(src) + wide(dst) + struct.pack("!HH", sport, dport)


def simple():
    for i, (s, d) in enumerate([("192.0.2.1", "198.51.100.1"), ("0.0.0.0", "255.255.255.255"), ("2001:db8::1", "2001:db8::2"), ("::", "::1"),
                                ("2001:db8::1", "192.0.2.1"), ("192.0.2.1", "::1"), ("::192.0.2.1", "192.0.2.1"), ("fe80::1", "ff02::1")]):
        v4 = all("." in a and ":" not in a for a in (s, d))
        shown = [a if v4 else canonical(a if ":" in a else "::ffff:" + a) for a in (s, d)]
        dotted = [a if ":" not in a else str(ipaddress.ip_address(a)) for a in (s, d)]
        head = spp(dotted[0], dotted[1], 40000 + i, 5060)
        row(f"es_{i}", "dgram", "ok", head + SIP, None, "spp", "INET" if v4 else "INET6", "DGRAM", shown[0], 40000 + i, shown[1], 5060, 38)
        row(f"es_{i}_bare", "dgram", "ok", head, None, "spp", "INET" if v4 else "INET6", "DGRAM", shown[0], 40000 + i, shown[1], 5060, 38)
        row(f"es_{i}_stream", "stream", "error", head + SIP, "no_header", "spp")
    head = spp("192.0.2.1", "198.51.100.1", 1, 2)
    for n in (2, 3, 18, 34, 36):
        row(f"es_cut_{n}", "dgram", "error", head[:n], "truncated", "spp")
    row("es_second_byte", "dgram", "error", b"\x56\xed" + head[2:], "no_header")
    row("es_then_v2", "dgram", "ok", head + v2(1, 0x12, block(*A4)), None, "spp", "INET", "DGRAM", "192.0.2.1", 1, "198.51.100.1", 2, 38)


def seeds(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for line in [*rows, *(pathlib.Path(__file__).parent / "spec.vec").read_text().splitlines()]:
        if not line.startswith("#"):
            cells = line.split(" ")
            (folder / cells[0]).write_bytes(bytes.fromhex(cells[-1].strip("-")))


version1()
version2()
simple()
if sys.argv[1:2] == ["--seeds"]:
    seeds(pathlib.Path(sys.argv[2]))
else:
    print("# Generated by generate.py; the columns are explained in spec.vec.")
    print("\n".join(rows))
