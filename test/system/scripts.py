"""Edge configurations shared by several test files."""

import sipkit
from conftest import preamble

PATIENT = """
tcp_connect_timeout = 10000
tcp_max_connections = 50000
"""

TIMEOUTS = """
modparam("proto_tls", "tls_handshake_timeout", 5000)
modparam("proto_ws", "ws_handshake_timeout", 5000)
modparam("proto_wss", "wss_handshake_timeout", 5000)
modparam("proto_wss", "wss_tls_handshake_timeout", 5000)
"""

TRUSTED = '"127.0.0.0/8, ::1/128"'

RELAY = """
route {
	xlog("L_NOTICE", "SAW|$ci|$rm|$proxy_protocol(src_ip)|$proxy_protocol(src_port)|$si|$sp|\\n");
	if (!mf_process_maxfwd_header(70)) {
		sl_send_reply(483, "Too Many Hops");
		exit;
	}
	if (is_method("CANCEL")) {
		if (t_check_trans())
			t_relay();
		exit;
	}
	if (has_totag()) {
		if (loose_route()) {
			t_relay();
			exit;
		}
		if (is_method("ACK")) {
			if (t_check_trans())
				t_relay();
			exit;
		}
		sl_send_reply(404, "Not here");
		exit;
	}
	if (is_method("OPTIONS") && $rU == "ping") {
		sl_send_reply(200, "OK");
		exit;
	}
	t_check_trans();
	route(OUT);
	record_route();
	t_relay();
}
"""


def inbound_option(guarded):
    return f" require_proxy_protocol proxy_protocol_peers {TRUSTED}" if guarded else ""


def outbound_option(version):
    if not version:
        return ""
    return f" send_proxy_protocol proxy_protocol_version {version[1]}"


class Doors:
    """Sockets of one edge: inbound[(kind, guarded)], outbound[(kind, version)].

    `guarded` sockets require a header from the loopback; `version` is None,
    "v1" or "v2".  The script picks the outgoing socket by the beginning of the
    user part: `tcp-v1-...` leaves through the TCP socket that writes v1."""

    def __init__(self, kinds=sipkit.TRANSPORTS, versions=(None, "v1", "v2"), host="127.0.0.1",
                 kinds_out=None):
        self.host = host
        self.inbound = {(k, g): sipkit.free_port(host) for k in kinds for g in (False, True)}
        self.outbound = {(k, v): sipkit.free_port(host) for k in kinds_out or kinds for v in versions}

    def entry(self, kind, guarded):
        return (self.host, self.inbound[kind, guarded])

    def config(self, certs, more_globals="", script=RELAY, hops=None, options=None):
        """`hops`: {(kind, version): next hop URI}, else the Request-URI decides.
        `options`: {(kind, guarded): words} to replace the inbound options."""
        at = sipkit.host_text(self.host)
        lines = [preamble(certs, PATIENT + more_globals), TIMEOUTS]
        for (k, g), p in self.inbound.items():
            words = (options or {}).get((k, g), inbound_option(g))
            lines.append(f"socket = {k}:{at}:{p}{words}")
        lines += [f"socket = {k}:{at}:{p}{outbound_option(v)}" for (k, v), p in self.outbound.items()]
        lines += [script, "route[OUT] {"]
        for (k, v), p in self.outbound.items():
            lines += [f'\tif ($rU =~ "^{k}-{v or "none"}-") {{', f'\t\t$socket_out = "{k}:{at}:{p}";']
            if hops and (k, v) in hops:
                lines.append(f'\t\t$du = "{hops[k, v]}";')
            lines.append("\t}")
        lines += ["}", ""]
        return "\n".join(lines)
