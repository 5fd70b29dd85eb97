/* wire/pp/pp.h -- PROXY protocol version 1, version 2 with TLVs, and the Simple Proxy Protocol (SPP): bytes in, facts out,
 * and facts in, bytes out.  Pure: no I/O, no clock, no allocation, no logging.  Views in the results point into the
 * caller's bytes and live exactly as long as they do.  Trust, timeouts and counters are the caller's.
 * Source: the specification of HAProxy (doc/proxy-protocol.txt, 2026-04-27) and Cloudflare's SPP description. */
#ifndef WIRE_PP_H
#define WIRE_PP_H
#include "base/addr.h"
#include "base/fmt.h"
#include "base/limits.h"
#include "base/view.h"

/* Why a header was refused: enumerator, counter name, one line for the operator. */
#define PP_REJECTS(X) \
	X(NO_HEADER,      "no_header",      "the bytes cannot begin a header of an accepted version") \
	X(TRUNCATED,      "truncated",      "a datagram ends inside its header") \
	X(TOO_LARGE,      "too_large",      "the header is longer than proxy_protocol_max_size") \
	X(TOO_LONG,       "too_long",       "a version 1 line does not end within 107 bytes") \
	X(BAD_PROTOCOL,   "bad_protocol",   "version 1: neither TCP4, TCP6 nor UNKNOWN") \
	X(BAD_SRC,        "bad_src",        "version 1: source address malformed") \
	X(BAD_DST,        "bad_dst",        "version 1: destination address malformed") \
	X(BAD_SPORT,      "bad_sport",      "version 1: source port malformed") \
	X(BAD_DPORT,      "bad_dport",      "version 1: destination port malformed") \
	X(BAD_TERMINATOR, "bad_terminator", "version 1: the line does not end in CR LF") \
	X(BAD_VERSION,    "bad_version",    "version 2: version nibble is not 2") \
	X(BAD_COMMAND,    "bad_command",    "version 2: neither LOCAL nor PROXY") \
	X(BAD_FAMILY,     "bad_family",     "version 2: unassigned family or transport") \
	X(SHORT_ADDRESS,  "short_address",  "version 2: length is below what the family needs") \
	X(BAD_TLV,        "bad_tlv",        "version 2: a TLV overruns its block or has an impossible length") \
	X(BAD_CRC,        "bad_crc",        "version 2: CRC32C does not match")

#define PP_REJECT_ENUM_(id, name, text) PP_REJ_##id,
/* PP_REJ_NONE is no refusal; counters are indexed by it. */
enum pp_reject { PP_REJ_NONE, PP_REJECTS(PP_REJECT_ENUM_) PP_REJ_COUNT };
#undef PP_REJECT_ENUM_

/* Counter name ("bad_crc") and explanation of a reason; `why` may be PP_REJ_NONE ("none"). */
struct view pp_reject_name(enum pp_reject why);
struct view pp_reject_text(enum pp_reject why);

/* The outcomes of a decoder; see pp_decode. */
enum pp_status { PP_OK, PP_MORE, PP_BAD };

/* Versions a caller is willing to read.  SPP exists for datagrams only: never accept it on a stream. */
enum pp_accept {
	PP_ACCEPT_V1 = 1, PP_ACCEPT_V2 = 2, PP_ACCEPT_SPP = 4,
	PP_ACCEPT_STREAM = PP_ACCEPT_V1 | PP_ACCEPT_V2,
	PP_ACCEPT_DGRAM = PP_ACCEPT_V1 | PP_ACCEPT_V2 | PP_ACCEPT_SPP,
};

/* Numbers as on the wire; specification 2.2, except PP_SPP. */
enum pp_version { PP_NONE = 0, PP_V1 = 1, PP_V2 = 2, PP_SPP = 3 };   /* PP_NONE: no header was read */
enum pp_cmd     { PP_CMD_LOCAL = 0, PP_CMD_PROXY = 1 };
enum pp_family  { PP_UNSPEC = 0, PP_INET = 1, PP_INET6 = 2, PP_UNIX = 3 };
enum pp_proto   { PP_PROTO_UNSPEC = 0, PP_STREAM = 1, PP_DGRAM = 2 };

/* Lengths in bytes. */
enum {
	PP_V1_MAX       = PP_V1_BYTES,
	PP_V2_FIXED     = 16,         /* signature, version/command, family/transport, length */
	PP_V2_PLAIN_MAX = 16 + 36,    /* version 2 over IPv6 without TLVs */
	PP_SPP_BYTES    = 38,
	PP_UNIQUE_ID_MAX = 128,
	PP_HEADER_MAX   = PP_SIZE_MAX,
};

/* What one header says. */
struct pp_info {
	uint8_t     version;     /* enum pp_version */
	uint8_t     cmd;         /* enum pp_cmd; UNKNOWN of version 1 counts as LOCAL, SPP is always PROXY */
	bool        local;       /* LOCAL, UNKNOWN, UNSPEC, UNIX: keep the socket's own addresses */
	uint8_t     fam, proto;  /* enum pp_family, pp_proto: of the proxied protocol, which need not be the carrier's;
				  * both unspecified for LOCAL */
	struct addr src, dst;    /* exactly as the header says (::ffff:a.b.c.d stays IPv6: see pp_unmap); AF_NONE if local.
				  * Any address and port 0 are legal here: refusing one is policy */
	struct view tlvs;        /* well-formed TLV block, CRC checked; empty for UNSPEC; for LOCAL informational at best, and
				  * empty when the discarded block is not well formed */
};

/* What the first bytes can be, for a listener where the header is optional.
 *   PP_SNIFF_NO     no accepted version begins like this: the bytes are payload
 *   PP_SNIFF_MAYBE  a proper prefix of a signature (also the empty view).  CR LF CR LF, the keepalive of RFC 5626, is one:
 *                   the fifth byte decides, or the caller's deadline
 *   others          the signature is complete ("PROXY ", 12 bytes, 56 EC): only pp_decode decides now, never payload */
enum pp_sniff { PP_SNIFF_NO, PP_SNIFF_MAYBE, PP_SNIFF_V1, PP_SNIFF_V2, PP_SNIFF_SPP };
enum pp_sniff pp_sniff(struct view in, unsigned accept);

/* Decode the header at the start of a stream.
 *   PP_OK    *out filled, *used = header length; no byte beyond it had a say
 *   PP_MORE  every byte so far can begin an accepted header; impossible once in.n >= max_size
 *   PP_BAD   *why says which rule is broken; drop, never guess.  Said at the first byte that makes it certain.
 * *out and *used are written only for PP_OK; *why always (PP_REJ_NONE unless PP_BAD). */
enum pp_status pp_decode(struct view in, size_t max_size, unsigned accept, struct pp_info *out, size_t *used,
			 enum pp_reject *why);
/* The same for one whole datagram, where PP_MORE does not exist: an incomplete header is PP_BAD. */
enum pp_status pp_decode_dgram(struct view in, size_t max_size, unsigned accept, struct pp_info *out, size_t *used,
			       enum pp_reject *why);
/* Turn v4-mapped addresses into IPv4, as everything that compares addresses needs. */
void pp_unmap(struct pp_info *info);

/* ---- TLVs ---- */

/* Specification 2.2.1 to 2.2.8; the custom range is shared by vendors. */
enum pp_tlv_type {
	PP_TLV_ALPN = 0x01, PP_TLV_AUTHORITY = 0x02, PP_TLV_CRC32C = 0x03, PP_TLV_NOOP = 0x04, PP_TLV_UNIQUE_ID = 0x05,
	PP_TLV_SSL = 0x20, PP_TLV_SSL_VERSION = 0x21, PP_TLV_SSL_CN = 0x22, PP_TLV_SSL_CIPHER = 0x23,
	PP_TLV_SSL_SIG_ALG = 0x24, PP_TLV_SSL_KEY_ALG = 0x25, PP_TLV_SSL_GROUP = 0x26, PP_TLV_SSL_SIG_SCHEME = 0x27,
	PP_TLV_SSL_CLIENT_CERT = 0x28, PP_TLV_NETNS = 0x30,
	PP_TLV_CUSTOM_FIRST = 0xe0, PP_TLV_CUSTOM_LAST = 0xef,
	PP_TLV_GCP = 0xe0, PP_TLV_AWS = 0xea, PP_TLV_AZURE = 0xee,
};
/* One TLV; the value may be empty. */
struct pp_tlv { uint8_t type; struct view value; };

/* Take the next TLV off *rest.  False at the end, and at a TLV that overruns (then *rest is not empty). */
bool pp_tlv_next(struct view *rest, struct pp_tlv *out);
/* Value of the first TLV of that type, which may be empty; false when there is none. */
bool pp_tlv_find(struct view tlvs, uint8_t type, struct view *value);

/* Bits of pp_ssl.client: TLS in use, certificate on this connection, certificate in this session. */
enum pp_ssl_client { PP_SSL_TLS = 1, PP_SSL_CERT_CONN = 2, PP_SSL_CERT_SESS = 4 };
struct pp_ssl {
	uint8_t     client;      /* bits of enum pp_ssl_client */
	uint32_t    verify;      /* 0 means verified only if a certificate was presented: ask `verified` */
	bool        verified;    /* a certificate was presented and verified; HAProxy sends verify 0 without one too */
	struct view subs;        /* sub-TLVs: pp_tlv_find(subs, PP_TLV_SSL_CN, ...) */
};
/* The SSL TLV of a header; false without one (or with one that is not well formed). */
bool pp_ssl_get(struct view tlvs, struct pp_ssl *out);

/* Vendors' TLVs; false when absent or not in the vendor's form. */
bool pp_aws_vpce(struct view tlvs, struct view *id);          /* VPC endpoint id, without its type byte */
bool pp_azure_linkid(struct view tlvs, uint32_t *id);
bool pp_gcp_psc(struct view tlvs, uint64_t *id);

/* True if v is valid UTF-8 without control characters and line separators: fit for logs, headers and comparisons. */
bool pp_is_text(struct view v);
/* The bytes themselves if pp_is_text, else lower-case hex. */
void pp_put_text_or_hex(struct out *o, struct view v);

/* ---- facts by name, as the script asks for them: $proxy_protocol(name) ---- */

/* Enumerator and name of every field. */
#define PP_FIELDS(X) \
	X(SRC_IP, "src_ip") X(SRC_PORT, "src_port") X(DST_IP, "dst_ip") X(DST_PORT, "dst_port") X(AF, "af") \
	X(VERSION, "version") X(CMD, "cmd") X(PROTO, "proto") X(AUTHORITY, "authority") X(ALPN, "alpn") \
	X(UNIQUE_ID, "unique_id") X(SSL_VERSION, "ssl_version") X(SSL_CN, "ssl_cn") X(SSL_CIPHER, "ssl_cipher") \
	X(SSL_VERIFIED, "ssl_verified") X(AWS_VPCE, "aws_vpce") X(AZURE_LINKID, "azure_linkid") X(GCP_PSC, "gcp_psc") \
	X(TLV, "tlv")
#define PP_FIELD_ENUM_(id, name) PP_FIELD_##id,
/* PP_FIELD_COUNT stands for no field. */
enum pp_field { PP_FIELDS(PP_FIELD_ENUM_) PP_FIELD_COUNT };
#undef PP_FIELD_ENUM_

/* Name (any case) to field; "tlv(0xNN)" gives PP_FIELD_TLV and the type in *tlv.  PP_FIELD_COUNT when unknown. */
enum pp_field pp_field_parse(struct view name, uint8_t *tlv);
/* Write the field's value.  False, with nothing written, when the header does not say it (NULL in the script): no header,
 * addresses of a LOCAL or UNKNOWN header, an absent TLV, a text TLV that is not text.  UNIQUE_ID and `tlv` are written as
 * text or hex; numbers in decimal; `o->full` says that the caller's room was too small. */
bool pp_field_put(struct out *o, const struct pp_info *info, enum pp_field f, uint8_t tlv);

/* ---- writing ---- */

/* One version 1 line; needs at most PP_V1_MAX bytes.  Both IPv4: TCP4.  Otherwise TCP6, an IPv4 side as hex ::ffff:0:0/96
 * text, which strict receivers take where they refuse the dotted form.  NULL or AF_NONE on either side: the short
 * "PROXY UNKNOWN".  False, with nothing written, when it does not fit. */
bool pp_write_v1(struct out *o, const struct addr *src, const struct addr *dst);

/* TLS facts of the client's connection, for the SSL TLV; empty views are left out. */
struct pp_ssl_out {
	bool        cert_conn, cert_sess;    /* a client certificate on this connection / in this session */
	bool        verified;                /* and it was verified; without a certificate never written as verified */
	struct view version, cn, cipher, sig_alg, key_alg, group, sig_scheme, client_cert;
};
/* One version 2 header to be written. */
struct pp_out {
	bool                     local;      /* our own traffic: 20 00 0000 and nothing else */
	uint8_t                  proto;      /* PP_STREAM or PP_DGRAM: the client's transport */
	struct addr              src, dst;   /* mixed families are both written as IPv6; AF_NONE means local */
	struct view              authority, alpn, unique_id;      /* empty: left out */
	const struct pp_ssl_out *ssl;        /* NULL: left out */
	const struct pp_tlv     *extra;      /* custom or passed-on TLVs, in order; never CRC32C or NOOP */
	size_t                   extras;
	bool                     crc32c;
};
/* One version 2 header.  False, with nothing written, when it does not fit into `o`, the length field or the specification
 * (unique_id over PP_UNIQUE_ID_MAX, a forbidden type in `extra`). */
bool pp_write_v2(struct out *o, const struct pp_out *h);

/* The 38 bytes of SPP, on datagrams in both directions with the same fields (the client stays the client on a reply).
 * False, with nothing written, when they do not fit. */
bool pp_write_spp(struct out *o, const struct addr *client, const struct addr *proxy);
#endif
