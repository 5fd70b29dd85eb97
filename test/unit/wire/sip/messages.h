/* test/unit/wire/sip/messages.h -- our own messages: what one datagram and one stream make of each. */
#ifndef TEST_SIP_MESSAGES_H
#define TEST_SIP_MESSAGES_H
#include "wire/sip/sip.h"

#define L        "\r\n"
#define VIA      "Via: SIP/2.0/UDP pc33.atlanta.example;branch=z9hG4bK776asdhds" L
#define FROM     "From: Alice <sip:alice@atlanta.example>;tag=1928301774" L
#define TO       "To: Bob <sip:bob@biloxi.example>" L
#define CALL     "Call-ID: a84b4c76e66710@pc33.atlanta.example" L
#define CSEQ(m)  "CSeq: 314159 " m L
#define LEN(n)   "Content-Length: " #n L
#define REST(m)  VIA FROM TO CALL CSEQ(m)
#define OPT      "OPTIONS sip:bob@biloxi.example SIP/2.0" L
#define WHOLE    OPT REST("OPTIONS")

struct sample {
	const char    *name;
	struct view    bytes;
	enum sip_fault why;            /* as a datagram: sip_parse(), then sip_validate() */
	enum sip_status stream;        /* sip_frame() of the same bytes */
};
#define M(name, text, fault, frame) { name, VIEW_INIT(text), SIP_FAULT_##fault, SIP_##frame }

static const struct sample samples[] = {
	/* acceptable */
	M("plain", WHOLE LEN(0) L, NONE, OK),
	M("no length on a datagram", WHOLE L "body", NONE, BAD),
	M("body", WHOLE "Content-Type: text/plain" L LEN(4) L "body", NONE, OK),
	M("longer than its length", WHOLE LEN(4) L "bodyINVITE", NONE, OK),
	M("compact names", OPT "v: SIP/2.0/TCP a.example;branch=z9hG4bK1" L "f: sip:a@b.example;tag=1" L "t: <sip:b@c.example>" L
		"i: 1" L "CSeq: 1 OPTIONS" L "l: 0" L L, NONE, OK),
	M("no blanks after colons", OPT "Via:SIP/2.0/UDP a;branch=z9hG4bK1" L "From:<sip:a@b>;tag=1" L "To:<sip:b@c>" L
		"Call-ID:1" L "CSeq:1 OPTIONS" L "Content-Length:0" L L, NONE, OK),
	M("blank before the colon", WHOLE "Content-Length : 0" L L, NONE, OK),
	M("tab before the colon", WHOLE "Content-Length\t: 0" L L, NONE, OK),
	M("folded length", WHOLE "Content-Length:" L " 0" L L, NONE, OK),
	M("fold by tab", WHOLE "Subject: a" L "\tb" L LEN(0) L, NONE, OK),
	M("fold that holds nothing", WHOLE "Subject: a" L " " L LEN(0) L, NONE, OK),
	M("empty subject", WHOLE "Subject:" L LEN(0) L, NONE, OK),
	M("unknown header", WHOLE "X-Colon: a:b:c" L LEN(0) L, NONE, OK),
	M("two Vias in one line", OPT "Via: SIP/2.0/TLS a:5061;branch=z9hG4bK1 , SIP/2.0/UDP b;branch=z9hG4bK2" L FROM TO CALL
		CSEQ("OPTIONS") LEN(0) L, NONE, OK),
	M("quoted pair NUL", WHOLE "Subject: \"a\\\0b\"" L LEN(0) L, NONE, OK),
	M("UTF-8", WHOLE "Subject: \xc3\xa4\xe2\x82\xac" L LEN(0) L, NONE, OK),
	M("response", "SIP/2.0 200 OK" L REST("INVITE") LEN(0) L, NONE, OK),
	M("response without a phrase", "SIP/2.0 180 " L REST("INVITE") LEN(0) L, NONE, OK),
	M("response without phrase and blank", "SIP/2.0 180" L REST("INVITE") LEN(0) L, NONE, OK),
	M("small version", "OPTIONS sip:b@c sip/2.0" L REST("OPTIONS") LEN(0) L, NONE, OK),
	M("tel", "INVITE tel:+1-201-555-0123;phone-context=x SIP/2.0" L REST("INVITE") LEN(0) L, NONE, OK),
	M("urn", "INVITE urn:service:sos SIP/2.0" L REST("INVITE") LEN(0) L, NONE, OK),
	M("foreign scheme behind a Route", "INVITE foo:bar SIP/2.0" L REST("INVITE") "Route: <sip:p.example;lr>" L LEN(0) L, NONE, OK),
	M("star contact", "REGISTER sip:c SIP/2.0" L REST("REGISTER") "Contact: *" L "Expires: 0" L LEN(0) L, NONE, OK),
	M("IPv6", "OPTIONS sip:[2001:db8::1]:5080;transport=tcp SIP/2.0" L REST("OPTIONS") LEN(0) L, NONE, OK),

	/* the start line */
	M("not SIP", "GET / HTTP/1.1" L "Host: a" L L, NOT_SIP, BAD),
	M("two blanks", "OPTIONS  sip:b@c SIP/2.0" L REST("OPTIONS") LEN(0) L, BAD_START_LINE, OK),
	M("blank at the end", "OPTIONS sip:b@c SIP/2.0 " L REST("OPTIONS") LEN(0) L, BAD_START_LINE, OK),
	M("tab in the start line", "OPTIONS\tsip:b@c SIP/2.0" L REST("OPTIONS") LEN(0) L, BAD_START_LINE, OK),
	M("method is no token", "OPT<IONS sip:b@c SIP/2.0" L REST("OPTIONS") LEN(0) L, BAD_START_LINE, OK),
	M("version 3", "OPTIONS sip:b@c SIP/3.0" L REST("OPTIONS") LEN(0) L, BAD_VERSION, OK),
	M("version 2.00", "OPTIONS sip:b@c SIP/2.00" L REST("OPTIONS") LEN(0) L, BAD_VERSION, OK),
	M("version without digits", "OPTIONS sip:b@c SIP/x" L REST("OPTIONS") LEN(0) L, BAD_START_LINE, OK),
	M("status 99", "SIP/2.0 099 x" L REST("INVITE") LEN(0) L, BAD_STATUS, OK),
	M("status 700", "SIP/2.0 700 x" L REST("INVITE") LEN(0) L, BAD_STATUS, OK),
	M("status of four digits", "SIP/2.0 2000 x" L REST("INVITE") LEN(0) L, BAD_STATUS, OK),
	M("response of version 3", "SIP/3.0 200 OK" L REST("INVITE") LEN(0) L, BAD_STATUS, OK),
	M("foreign scheme", "OPTIONS foo:bar SIP/2.0" L REST("OPTIONS") LEN(0) L, BAD_SCHEME, OK),
	M("no scheme", "OPTIONS bob SIP/2.0" L REST("OPTIONS") LEN(0) L, BAD_URI, OK),
	M("headers in the request URI", "OPTIONS sip:b@c?Route=x SIP/2.0" L REST("OPTIONS") LEN(0) L, BAD_URI, OK),
	M("broken escape", "OPTIONS sip:b%2@c SIP/2.0" L REST("OPTIONS") LEN(0) L, BAD_URI, OK),

	/* header lines */
	M("no colon", WHOLE "Subject" L LEN(0) L, BAD_HEADER, BAD),
	M("no name", WHOLE ": x" L LEN(0) L, BAD_HEADER, BAD),
	M("blank inside a name", WHOLE "Sub ject: x" L LEN(0) L, BAD_HEADER, BAD),
	M("fold without a header", OPT " Subject: x" L REST("OPTIONS") LEN(0) L, BAD_HEADER, BAD),
	M("fold before the colon", WHOLE "Subject" L " : x" L LEN(0) L, BAD_HEADER, BAD),
	M("bare LF", WHOLE "Subject: a\nX: b" L LEN(0) L, BAD_BYTE, BAD),
	M("bare LF in the start line", "OPTIONS sip:b@c SIP/2.0\n" REST("OPTIONS") LEN(0) L, BAD_BYTE, BAD),
	M("bare CR", WHOLE "Subject: a\rX: b" L LEN(0) L, BAD_BYTE, BAD),
	M("CR CR LF", WHOLE "Subject: a\r\r\n" LEN(0) L, BAD_BYTE, BAD),
	M("empty line by LF LF", WHOLE LEN(0) "\n" OPT, BAD_BYTE, BAD),
	M("NUL in a name", WHOLE "Sub\0ject: a" L LEN(0) L, BAD_BYTE, BAD),
	M("NUL in a value", WHOLE "Subject: a\0b" L LEN(0) L, BAD_BYTE, BAD),
	M("NUL behind a backslash, unquoted", WHOLE "Subject: a\\\0b" L LEN(0) L, BAD_BYTE, BAD),
	M("NUL behind two backslashes", WHOLE "Subject: \"a\\\\\0b\"" L LEN(0) L, BAD_BYTE, BAD),
	M("DEL in a value", WHOLE "Subject: a\x7f" L LEN(0) L, BAD_BYTE, BAD),
	M("no empty line", WHOLE LEN(0), NO_HEAD_END, MORE),
	M("cut in a header", WHOLE "Content-Le", NO_HEAD_END, MORE),

	/* lengths */
	M("short body", WHOLE LEN(5) L "body", SHORT_BODY, MORE),
	M("signed length", WHOLE LEN(+0) L, BAD_LENGTH, BAD),
	M("negative length", WHOLE LEN(-1) L, BAD_LENGTH, BAD),
	M("hexadecimal length", WHOLE LEN(0x0) L, BAD_LENGTH, BAD),
	M("length with a letter", WHOLE LEN(0a) L, BAD_LENGTH, BAD),
	M("empty length", WHOLE "Content-Length:" L L, BAD_LENGTH, BAD),
	M("list of lengths", WHOLE "Content-Length: 0, 0" L L, BAD_LENGTH, BAD),
	M("the same length twice", WHOLE LEN(0) LEN(0) L, BAD_LENGTH, BAD),
	M("two lengths", WHOLE LEN(0) LEN(4) L "body", BAD_LENGTH, BAD),
	M("long and compact length", WHOLE LEN(4) "l: 0" L L "body", BAD_LENGTH, BAD),
	M("length 2^31", WHOLE LEN(2147483648) L, BAD_LENGTH, BAD),
	M("length 2^32", WHOLE LEN(4294967296) L, BAD_LENGTH, BAD),
	M("length 2^64 + 4", WHOLE LEN(18446744073709551620) L "body", BAD_LENGTH, BAD),
	M("length folded in two", WHOLE "Content-Length: 0" L " 0" L L, BAD_LENGTH, BAD),
	M("length over the bound", WHOLE LEN(2147483647) L, SHORT_BODY, BAD),

	/* what every request needs */
	M("no Via", OPT FROM TO CALL CSEQ("OPTIONS") LEN(0) L, NO_VIA, OK),
	M("no From", OPT VIA TO CALL CSEQ("OPTIONS") LEN(0) L, MISSING, OK),
	M("no To", OPT VIA FROM CALL CSEQ("OPTIONS") LEN(0) L, MISSING, OK),
	M("no Call-ID", OPT VIA FROM TO CSEQ("OPTIONS") LEN(0) L, MISSING, OK),
	M("no CSeq", OPT VIA FROM TO CALL LEN(0) L, MISSING, OK),
	M("two Call-IDs", WHOLE "i: other" L LEN(0) L, DUPLICATE, OK),
	M("two From", WHOLE "f: <sip:x@y>" L LEN(0) L, DUPLICATE, OK),
	M("two Max-Forwards", WHOLE "Max-Forwards: 1" L "max-forwards: 2" L LEN(0) L, DUPLICATE, OK),
	M("CSeq of another method", OPT REST("INVITE") LEN(0) L, CSEQ_METHOD, OK),
	M("CSeq 2^32", OPT VIA FROM TO CALL "CSeq: 4294967296 OPTIONS" L LEN(0) L, BAD_CSEQ, OK),
	M("CSeq without a method", OPT VIA FROM TO CALL "CSeq: 1" L LEN(0) L, BAD_CSEQ, OK),
	M("CSeq with a tail", OPT VIA FROM TO CALL "CSeq: 1 OPTIONS x" L LEN(0) L, BAD_CSEQ, OK),
	M("two addresses in From", OPT VIA "From: <sip:a@b>;tag=1, <sip:c@d>" L TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_FROM_TO, OK),
	M("two tags", OPT VIA "From: <sip:a@b>;tag=1;TAG=2" L TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_FROM_TO, OK),
	M("star in To", OPT VIA FROM "To: *" L CALL CSEQ("OPTIONS") LEN(0) L, BAD_FROM_TO, OK),
	M("empty From", OPT VIA "From:" L TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_FROM_TO, OK),
	M("blank in Call-ID", OPT VIA FROM TO "Call-ID: a b" L CSEQ("OPTIONS") LEN(0) L, BAD_CALL_ID, OK),
	M("empty Call-ID", OPT VIA FROM TO "Call-ID: " L CSEQ("OPTIONS") LEN(0) L, BAD_CALL_ID, OK),
	M("Via of another protocol", OPT "Via: HTTP/2.0/UDP a;branch=z9hG4bK1" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("second Via broken", OPT VIA "Via: SIP/2.0 b" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("empty Via", OPT "Via:" L VIA FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("branch is the cookie alone", OPT "Via: SIP/2.0/UDP a;branch=z9hG4bK" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("star contact in OPTIONS", WHOLE "Contact: *" L LEN(0) L, BAD_CONTACT, OK),
	M("star and another", "REGISTER sip:c SIP/2.0" L REST("REGISTER") "Contact: *" L "m: <sip:a@b>" L LEN(0) L, BAD_CONTACT, OK),
	M("broken Contact", WHOLE "Contact: <sip:a@b" L LEN(0) L, BAD_CONTACT, OK),
	M("Contact whose URI is broken", WHOLE "Contact: <sip:@h>" L LEN(0) L, BAD_CONTACT, OK),
	M("broken Route", WHOLE "Route: sip" L LEN(0) L, BAD_HEADER, OK),
	M("Max-Forwards 256", WHOLE "Max-Forwards: 256" L LEN(0) L, BAD_MAX_FORWARDS, OK),
	M("Max-Forwards a word", WHOLE "Max-Forwards: many" L LEN(0) L, BAD_MAX_FORWARDS, OK),
	M("Expires 2^32", WHOLE "Expires: 4294967296" L LEN(0) L, BAD_NUMBER, OK),
	M("Content-Type with a tail", WHOLE "c: text/plain x" L LEN(0) L, BAD_HEADER, OK),
	M("Content-Type with an empty parameter", WHOLE "c: text/plain;" L LEN(0) L, BAD_HEADER, OK),
	M("Route whose URI is broken", WHOLE "Route: <sip:>" L LEN(0) L, BAD_HEADER, OK),
	M("tag after a quoted semicolon", OPT VIA "From: <sip:a@b>;x=\";tag=2\";tag=1" L TO CALL CSEQ("OPTIONS") LEN(0) L, NONE, OK),
	M("two tags in To", OPT VIA FROM "To: <sip:a@b>;tag=1;x;Tag=1" L CALL CSEQ("OPTIONS") LEN(0) L, BAD_FROM_TO, OK),
	M("byte over 127 in Call-ID", OPT VIA FROM TO "Call-ID: abcdefghijklmnopqrst\xc3\xa4" L CSEQ("OPTIONS") LEN(0) L, BAD_CALL_ID, OK),
	M("second element of a Via broken", OPT "Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L,
		BAD_VIA, OK),
	M("comma behind the only Via", OPT "Via: SIP/2.0/UDP a;branch=z9hG4bK1," L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("second Via of another version", OPT VIA "Via: SIP/3.0/UDP b" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("blanks in the protocol of a Via", OPT "Via: SIP / 2.0 / UDP a;branch=z9hG4bK1" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, NONE, OK),
	M("Via in small letters", OPT "via: sip/2.0/udp a;branch=z9hG4bK1" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, NONE, OK),
	M("Via whose address is none", OPT "Via: SIP/2.0/UDP 192.0.2.256;branch=z9hG4bK1" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("Via whose port is none", OPT "Via: SIP/2.0/UDP a:65536;branch=z9hG4bK1" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("response with a broken Contact", "SIP/2.0 200 OK" L REST("INVITE") "m: <sip:@h>" L LEN(0) L, BAD_CONTACT, OK),
	M("response with a broken second Via", "SIP/2.0 200 OK" L VIA REST("INVITE") "v: SIP/2.0/UDP" L LEN(0) L, BAD_VIA, OK),
	M("broken Via and broken request URI", "OPTIONS b SIP/2.0" L "Via: x" L FROM TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_VIA, OK),
	M("broken request URI and broken From", "OPTIONS b SIP/2.0" L VIA "From: x" L TO CALL CSEQ("OPTIONS") LEN(0) L, BAD_URI, OK),
	M("Content-Type without a subtype", WHOLE "c: text" L LEN(0) L, BAD_HEADER, OK),
};
#undef M
#endif
