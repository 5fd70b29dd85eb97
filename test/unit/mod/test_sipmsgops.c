#include "edits.h"

#define HEAD(method, extra) method " sip:bob@example.com;x=1;lr SIP/2.0\r\n" \
	"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n" \
	"Max-Forwards: 70\r\n" \
	"From: \"Alice\" <sip:alice@atlanta.com>;tag=a\r\n" \
	"To: <sip:bob@example.com>\r\n" \
	"Call-ID: c1\r\n" \
	"CSeq: 1 " method "\r\n" \
	"Contact: <sip:alice@198.51.100.7>\r\n" extra
#define PLAIN HEAD("INVITE", "k: path, 100rel , timer\r\nX-A: 1\r\nX-B: 2\r\nx-a: 3\r\nContent-Length: 0\r\n\r\n")
#define SDP_HEAD "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
#define AUDIO "m=audio 4000 RTP/AVP 0 8 97 101\r\na=rtpmap:97 opus/48000/2\r\na=fmtp:97 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
#define VIDEO "m=video 4002 RTP/SAVPF 96 8\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n"
#define SDP SDP_HEAD AUDIO VIDEO
/* Content-Length is not looked at on UDP when it says more or less than there is, so it is left out of these. */
#define INVITE(body) HEAD("INVITE", "Content-Type: application/sdp\r\n\r\n") body
#define PARTS "--b1\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--b1\r\nc: text/plain\r\nContent-ID: <x>\r\n\r\nhello\r\n--b1--\r\n"
#define MULTI HEAD("INVITE", "Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\n") "preamble\r\n" PARTS
#define REPLY(status) "SIP/2.0 " status "\r\n" \
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n" \
	"From: <sip:alice@atlanta.com>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"

static const struct scene headers[] = {
	{ "append_hf puts the line last", PLAIN, .calls = { { "append_hf", 1, { "X-New: a\r\n" } } }, .has = { "x-a: 3\r\nContent-Length: 0\r\nX-New: a\r\n\r\n" } },
	{ "append_hf behind an anchor", PLAIN, .calls = { { "append_hf", 1, { "X-New: a\r\n", "X-A" } } }, .has = { "X-A: 1\r\nX-New: a\r\nX-B: 2\r\n" } },
	{ "append_hf with a missing anchor", PLAIN, .calls = { { "append_hf", 1, { "X-New: a\r\n", "X-Z" } } }, .has = { "\r\nX-New: a\r\n\r\n" } },
	{ "append_hf keeps the order of calls", PLAIN, .calls = { { "append_hf", 1, { "X-1: a\r\n" } }, { "append_hf", 1, { "X-2: b\r\n" } } }, .has = { "X-1: a\r\nX-2: b\r\n\r\n" } },
	{ "append_hf takes several lines", PLAIN, .calls = { { "append_hf", 1, { "X-1: a\r\nX-2: b,\r\n c\r\n" } } }, .has = { "X-1: a\r\nX-2: b,\r\n c\r\n\r\n" } },
	{ "append_hf adds a forgotten CRLF", PLAIN, .calls = { { "append_hf", 1, { "X-1: a" } } }, .has = { "X-1: a\r\n\r\n" } },
	{ "append_hf cannot end the header section", PLAIN, .calls = { { "append_hf", -1, { "X-1: a\r\n\r\nINVITE sip:x SIP/2.0\r\n" } } }, .lacks = { "X-1" } },
	{ "append_hf refuses what is no header", PLAIN, .calls = { { "append_hf", -1, { "no colon\r\n" } }, { "append_hf", -1, { "X 1: a\r\n" } },
		{ "append_hf", -1, { "X-1: a\nX-2: b\r\n" } }, { "append_hf", -1, { "X-1: a\rb\r\n" } }, { "append_hf", -1, { "" } }, { "append_hf", -1, { " X-1: a\r\n" } } }, .lacks = { "X-1" } },
	{ "append_hf cannot bring a second Content-Length", PLAIN, .calls = { { "append_hf", 1, { "l: 5\r\nX-1: a\r\n" } } }, .has = { "X-1: a\r\n" }, .lacks = { "l: 5" } },
	{ "insert_hf puts the line first", PLAIN, .calls = { { "insert_hf", 1, { "X-New: a\r\n" } } }, .has = { "z9hG4bKours\r\nX-New: a\r\nVia: " } },
	{ "insert_hf before an anchor", PLAIN, .calls = { { "insert_hf", 1, { "X-New: a\r\n", "x-b" } } }, .has = { "X-A: 1\r\nX-New: a\r\nX-B: 2\r\n" } },
	{ "append_urihf shows the received URI", PLAIN, .calls = { { "ruri_del_param", 1, { "x" } }, { "append_urihf", 1, { "X-Uri: <", ">\r\n" } } },
		.has = { "X-Uri: <sip:bob@example.com;x=1;lr>\r\n" } },
	{ "remove_hf removes all", PLAIN, .calls = { { "remove_hf", 1, { "X-A" } }, { "remove_hf", -1, { "X-Z" } } }, .has = { "X-B: 2" }, .lacks = { "X-A: 1", "x-a: 3" } },
	{ "remove_hf knows compact forms", PLAIN, .calls = { { "remove_hf", 1, { "Supported" } } }, .lacks = { "k: " } },
	{ "remove_hf twice is once", PLAIN, .calls = { { "remove_hf", 1, { "X-B" } }, { "remove_hf", 1, { "X-B" } } }, .has = { "X-A: 1\r\nx-a: 3\r\n" }, .lacks = { "X-B" } },
	{ "remove_hf and append_hf", PLAIN, .calls = { { "remove_hf", 1, { "X-A" } }, { "append_hf", 1, { "X-A: 9\r\n" } } }, .has = { "X-A: 9\r\n\r\n" }, .lacks = { "X-A: 1" } },
	{ "remove_hf_re", PLAIN, .calls = { { "remove_hf_re", 1, { "^x-" } }, { "remove_hf_re", -1, { "^y-" } } }, .has = { "k: path" }, .lacks = { "X-A", "X-B", "x-a" } },
	{ "remove_hf_glob", PLAIN, .calls = { { "remove_hf_glob", 1, { "X-[a]*" } }, { "remove_hf_glob", -1, { "A" } } }, .has = { "X-B" }, .lacks = { "X-A", "x-a" } },
	{ "is_present_hf", PLAIN, .calls = { { "is_present_hf", 1, { "supported" } }, { "is_present_hf", 1, { "k" } }, { "is_present_hf", -1, { "Require" } } } },
	{ "is_present_hf sees what was received", PLAIN, .calls = { { "remove_hf", 1, { "X-A" } }, { "is_present_hf", 1, { "X-A" } }, { "append_hf", 1, { "X-C: 1\r\n" } }, { "is_present_hf", -1, { "X-C" } } } },
	{ "get_glob_headers_values", PLAIN, .calls = { { "get_glob_headers_values", 1, { "X-B*", "", "" } }, { "get_glob_headers_values", -1, { "Y*", "", "" } } }, .var = "X-B" },
	{ "list_hdr_has_option", PLAIN, .calls = { { "list_hdr_has_option", 1, { "Supported", "100REL" } }, { "list_hdr_has_option", -1, { "Supported", "100" } }, { "list_hdr_has_option", -1, { "Require", "path" } } } },
	{ "list_hdr_add_option", PLAIN, .calls = { { "list_hdr_add_option", 1, { "Supported", "gruu" } }, { "list_hdr_add_option", 1, { "Supported", "gruu" } }, { "list_hdr_has_option", 1, { "Supported", "gruu" } } },
		.has = { "k: path, 100rel , timer, gruu\r\n" } },
	{ "list_hdr_add_option makes the header", PLAIN, .calls = { { "list_hdr_add_option", 1, { "Require", "path" } } }, .has = { "Require: path\r\n" } },
	{ "list_hdr_add_option refuses other things", PLAIN, .calls = { { "list_hdr_add_option", -1, { "Supported", "a\r\nX: y" } } } },
	{ "list_hdr_remove_option composes", PLAIN, .calls = { { "list_hdr_remove_option", 1, { "Supported", "100rel" } }, { "list_hdr_remove_option", 1, { "Supported", "timer" } },
		{ "list_hdr_remove_option", -1, { "Supported", "timer" } } }, .has = { "k: path\r\n" } },
	{ "list_hdr_remove_option of the last", PLAIN, .calls = { { "list_hdr_remove_option", 1, { "k", "100rel" } }, { "list_hdr_remove_option", 1, { "k", "timer" } },
		{ "list_hdr_remove_option", 1, { "k", "path" } }, { "list_hdr_has_option", -1, { "k", "path" } }, { "list_hdr_add_option", 1, { "Supported", "gruu" } } }, .has = { "Supported: gruu\r\n" }, .lacks = { "k:" } },
};

static const struct scene questions[] = {
	{ "is_method", PLAIN, .calls = { { "is_method", 1, { "INVITE" } }, { "is_method", 1, { "bye|invite" } }, { "is_method", -1, { "BYE|CANCEL" } }, { "is_method", -1, { "INVITES" } } } },
	{ "is_method of a reply", REPLY("200 OK"), .calls = { { "is_method", 1, { "INVITE" } }, { "is_method", -1, { "ACK" } }, { "has_totag", 1 } } },
	{ "is_method of a stranger", HEAD("FOO", "\r\n"), .calls = { { "is_method", 1, { "FOO" } }, { "is_method", -1, { "foo" } }, { "is_method", -1, { "INVITE" } }, { "has_totag", -1 } } },
	{ "has_body", INVITE(SDP), .calls = { { "has_body", 1 }, { "has_body", 1, { "application/sdp" } }, { "has_body_part", -1, { "text/plain" } }, { "has_body_part", 1, { "application/*" } } } },
	{ "has_body without one", PLAIN, .calls = { { "has_body", -1 }, { "has_body", -1, { "application/sdp" } } } },
	{ "has_body_part in a multipart", MULTI, .calls = { { "has_body_part", 1, { "text/plain" } }, { "has_body_part", 1, { "application/sdp" } }, { "has_body_part", -1, { "image/png" } } } },
	{ "has_body of no known type", HEAD("MESSAGE", "\r\n") "hi", .calls = { { "has_body", 1, { "text/plain" } } } },
	{ "is_privacy", HEAD("INVITE", "Privacy: user; id ;critical\r\n\r\n"), .calls = { { "is_privacy", 1, { "id" } }, { "is_privacy", 1, { "Critical" } }, { "is_privacy", -1, { "header" } } } },
	{ "is_audio_on_hold not", INVITE(SDP), .calls = { { "is_audio_on_hold", -1 } } },
	{ "is_audio_on_hold by address", INVITE(SDP_HEAD "m=audio 1 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"), .calls = { { "is_audio_on_hold", 1 } } },
	{ "is_audio_on_hold by direction", INVITE(SDP_HEAD "a=sendonly\r\n" "m=audio 1 RTP/AVP 0\r\n"), .calls = { { "is_audio_on_hold", 2 } } },
	{ "is_audio_on_hold: the stream's word counts", INVITE(SDP_HEAD "a=inactive\r\n" "m=audio 1 RTP/AVP 0\r\na=sendrecv\r\n"), .calls = { { "is_audio_on_hold", -1 } } },
	{ "is_audio_on_hold: video does not count", INVITE(SDP_HEAD "m=video 1 RTP/AVP 0\r\na=inactive\r\n"), .calls = { { "is_audio_on_hold", -1 } } },
	{ "sip_to_json", HEAD("INFO", "X-A: \"q\"\r\nx-a: \xc3\r\n\r\n"), .calls = { { "sip_to_json", 1, { "" } } }, .var =
		"{\"first_line\":\"INFO sip:bob@example.com;x=1;lr SIP/2.0\",\"headers\":{\"Via\":[\"SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\"],\"Max-Forwards\":[\"70\"],"
		"\"From\":[\"\\\"Alice\\\" <sip:alice@atlanta.com>;tag=a\"],\"To\":[\"<sip:bob@example.com>\"],\"Call-ID\":[\"c1\"],\"CSeq\":[\"1 INFO\"],"
		"\"Contact\":[\"<sip:alice@198.51.100.7>\"],\"X-A\":[\"\\\"q\\\"\",\"\\u00c3\"]},\"body\":\"\"}" },
};

static const struct scene uris[] = {
	{ "ruri_has_param", PLAIN, .calls = { { "ruri_has_param", 1, { "lr" } }, { "ruri_has_param", -1, { "x" } }, { "ruri_has_param", 1, { "X", "1" } }, { "ruri_has_param", -1, { "x", "2" } }, { "ruri_has_param", -1, { "y" } } } },
	{ "ruri_add_param", PLAIN, .calls = { { "ruri_add_param", 1, { "y=2" } }, { "ruri_add_param", 1, { ";z" } }, { "ruri_add_param", 1, { "X=7" } }, { "ruri_has_param", 1, { "z" } } },
		.has = { "INVITE sip:bob@example.com;x=1;lr;y=2;z SIP/2.0\r\n" } },
	{ "ruri_add_param refuses to leave the URI", PLAIN, .calls = { { "ruri_add_param", -1, { "y=2 SIP/2.0" } }, { "ruri_add_param", -1, { "y\r\nX: z" } }, { "ruri_add_param", -1, { "y?h=v" } }, { "ruri_add_param", -1, { "" } } },
		.has = { "INVITE sip:bob@example.com;x=1;lr SIP/2.0\r\n" } },
	{ "ruri_del_param", PLAIN, .calls = { { "ruri_del_param", 1, { "x" } }, { "ruri_del_param", -1, { "x" } } }, .has = { "INVITE sip:bob@example.com;lr SIP/2.0\r\n" } },
	{ "ruri_del_param of the last", PLAIN, .calls = { { "ruri_del_param", 1, { "lr" } }, { "ruri_del_param", 1, { "x" } } }, .has = { "INVITE sip:bob@example.com SIP/2.0\r\n" } },
	{ "ruri_tel2sip", "INVITE tel:+1-201-555-0123;postd=pp22 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nFrom: <sip:a@atlanta.com>;tag=a\r\nTo: <tel:+12015550123>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n",
		.calls = { { "ruri_tel2sip", 1 }, { "ruri_tel2sip", 1 } }, .has = { "INVITE sip:+12015550123;postd=pp22@atlanta.com;user=phone SIP/2.0\r\n" } },
	{ "is_uri_user_e164", PLAIN, .calls = { { "is_uri_user_e164", 1, { "sip:+4930123456@h" } }, { "is_uri_user_e164", -1, { "sip:4930123456@h" } }, { "is_uri_user_e164", -1, { "sip:+1@h" } },
		{ "is_uri_user_e164", -1, { "sip:+1234567890123456@h" } }, { "is_uri_user_e164", 1, { "\"A\" <sip:+4930123456@h>;tag=x" } }, { "is_uri_user_e164", -1, { "sip:+49x@h" } } } },
};

static const struct scene bodies[] = {
	{ "add_body_part to none", HEAD("INVITE", "Content-Length: 0\r\n\r\n"), .calls = { { "add_body_part", 1, { "hello", "text/plain", "Content-ID: <1>\r\n" } } },
		.has = { "Content-Type: text/plain\r\n", "Content-ID: <1>\r\n", "Content-Length: 5\r\n" }, .body = "hello" },
	{ "add_body_part makes a multipart", INVITE(SDP), .calls = { { "add_body_part", 1, { "hello", "text/plain" } }, { "has_body_part", 1, { "text/plain" } }, { "has_body_part", 1, { "application/sdp" } },
		{ "codec_delete", 1, { "opus" } } },
		.has = { "Content-Type: multipart/mixed;boundary=\"viaduct-", "\r\nContent-Type: application/sdp\r\n\r\nv=0", "\r\nContent-Type: text/plain\r\n\r\nhello\r\n--viaduct-", "m=audio 4000 RTP/AVP 0 8 101\r\n" } },
	{ "add_body_part to a multipart", MULTI, .calls = { { "add_body_part", 1, { "{}", "application/json", "X-P: 1\r\n" } } },
		.has = { "boundary=\"b1\"", "hello\r\n--b1\r\nContent-Type: application/json\r\nX-P: 1\r\n\r\n{}\r\n--b1--\r\n" } },
	{ "add_body_part twice", HEAD("INVITE", "\r\n"), .calls = { { "add_body_part", 1, { "one", "text/plain" } }, { "add_body_part", 1, { "two", "text/html" } }, { "add_body_part", 1, { "three", "text/css" } },
		{ "get_updated_body_part", 1, { "text/html", "" } } }, .has = { "\r\n\r\none\r\n--", "\r\n\r\ntwo\r\n--", "\r\n\r\nthree\r\n--" }, .lacks = { "Content-Type: text/plain\r\nContent-Type" }, .var = "two" },
	{ "add_body_part refuses bad types", INVITE(SDP), .calls = { { "add_body_part", -1, { "x", "text" } }, { "add_body_part", -1, { "x", "text/plain\r\nX: y" } }, { "add_body_part", -1, { "x", "text/plain", "no header" } } }, .body = SDP },
	{ "remove_body_part of all", INVITE(SDP), .calls = { { "remove_body_part", 1 }, { "remove_body_part", -1 }, { "has_body", -1 } }, .lacks = { "Content-Type" }, .body = "" },
	{ "remove_body_part of a type", INVITE(SDP), .calls = { { "remove_body_part", -1, { "text/plain" } }, { "remove_body_part", -1, { "application/sdp", "revert" } }, { "remove_body_part", 1, { "application/sdp" } } }, .body = "" },
	{ "remove_body_part of one part", MULTI, .calls = { { "remove_body_part", 1, { "application/sdp" } }, { "remove_body_part", -1, { "application/sdp" } } },
		.body = "preamble\r\n--b1\r\nc: text/plain\r\nContent-ID: <x>\r\n\r\nhello\r\n--b1--\r\n" },
	{ "remove_body_part of the others", MULTI, .calls = { { "remove_body_part", 1, { "application/sdp", "revert" } } },
		.body = "preamble\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n" SDP "\r\n--b1--\r\n" },
	{ "remove_body_part of every part", MULTI, .calls = { { "remove_body_part", 1, { "application/sdp" } }, { "remove_body_part", 1, { "text/plain" } } }, .lacks = { "Content-Type" }, .body = "" },
	{ "remove then add", INVITE(SDP), .calls = { { "remove_body_part", 1 }, { "add_body_part", 1, { "new", "text/plain" } } }, .has = { "Content-Type: text/plain\r\n" }, .lacks = { "application/sdp" }, .body = "new" },
	{ "get_updated_body_part", MULTI, .calls = { { "get_updated_body_part", 1, { "text/plain", "" } }, { "get_updated_body_part", -1, { "image/png", "" } } }, .var = "hello" },
};

#define REST SDP_HEAD "m=audio 4000 RTP/AVP "
#define A97 "a=rtpmap:97 opus/48000/2\r\na=fmtp:97 useinbandfec=1\r\n"
#define A101 "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
static const struct scene codecs[] = {
	{ "codec_exists", INVITE(SDP), .calls = { { "codec_exists", 1, { "OPUS" } }, { "codec_exists", 1, { "opus", "48000" } }, { "codec_exists", -1, { "opus", "8000" } }, { "codec_exists", 1, { "pcma" } },
		{ "codec_exists", -1, { "G729" } }, { "codec_exists_re", 1, { "^vp[89]$" } } }, .body = SDP },
	{ "codec_delete", INVITE(SDP), .calls = { { "codec_delete", 1, { "opus" } }, { "codec_exists", -1, { "opus" } }, { "codec_delete", -1, { "opus" } } }, .body = REST "0 8 101\r\n" A101 VIDEO },
	{ "codec_delete in all streams", INVITE(SDP), .calls = { { "codec_delete", 1, { "PCMA" } } }, .body = REST "0 97 101\r\n" A97 A101 "m=video 4002 RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n" },
	{ "codec_delete twice composes", INVITE(SDP), .calls = { { "codec_delete", 1, { "opus", "48000" } }, { "codec_delete", 1, { "PCMU" } }, { "codec_delete_re", 1, { "telephone" } } }, .body = REST "8\r\na=sendrecv\r\n" VIDEO },
	{ "codec_delete of all refuses the stream", INVITE(SDP_HEAD "m=audio 4000 RTP/AVP 0 8\r\n"), .calls = { { "codec_delete_re", 1, { "PCM" } } }, .body = SDP_HEAD "m=audio 0 RTP/AVP 0\r\n" },
	{ "codec_delete_except_re", INVITE(SDP), .calls = { { "codec_delete_except_re", 1, { "PCMA|telephone|VP8" } } }, .body = REST "8 101\r\n" A101 VIDEO },
	{ "codec_move_up", INVITE(SDP), .calls = { { "codec_move_up", 1, { "opus" } }, { "codec_move_up", -1, { "G729" } } }, .body = REST "97 0 8 101\r\n" A97 A101 VIDEO },
	{ "codec_move_up_re keeps their order", INVITE(SDP), .calls = { { "codec_move_up_re", 1, { "PCMA|opus" } } }, .has = { "RTP/AVP 8 97 0 101\r\n", "RTP/SAVPF 8 96\r\n" } },
	{ "codec_move_down", INVITE(SDP), .calls = { { "codec_move_down", 1, { "PCMU" } }, { "codec_move_down_re", 1, { "^PCMA" } } }, .has = { "RTP/AVP 97 101 0 8\r\n" } },
	{ "codecs in a multipart", MULTI, .calls = { { "codec_delete", 1, { "opus" } }, { "codec_move_up", 1, { "PCMA" } } }, .has = { "preamble\r\n--b1\r\n", "RTP/AVP 8 0 101\r\n", "hello\r\n--b1--\r\n" } },
	{ "no session description", HEAD("MESSAGE", "Content-Type: text/plain\r\n\r\n") "m=audio 1 RTP/AVP 0\r\n", .calls = { { "codec_exists", -1, { "PCMU" } }, { "stream_exists", -1, { "audio" } } } },
	{ "T.38 has no payload types", INVITE(SDP_HEAD "m=image 4000 udptl t38\r\n"), .calls = { { "codec_delete_re", -1, { "." } } } },
	{ "bare LF", INVITE("v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nt=0 0\nm=audio 1 RTP/AVP 0 8\n"), .calls = { { "codec_delete", 1, { "PCMU" } } }, .body = "v=0\no=- 1 1 IN IP4 1.2.3.4\ns=-\nt=0 0\nm=audio 1 RTP/AVP 8\n" },
	{ "stream_exists", INVITE(SDP), .calls = { { "stream_exists", 1, { "^video$" } }, { "stream_exists", 1, { "audio", "^RTP/AVP$" } }, { "stream_exists", -1, { "audio", "SAVP" } }, { "stream_exists", -1, { "image" } } } },
	{ "stream_delete", INVITE(SDP), .calls = { { "stream_delete", 1, { "video" } }, { "stream_exists", -1, { "video" } }, { "codec_delete", 1, { "PCMU" } } }, .body = REST "8 97 101\r\n" A97 A101 },
	{ "stream_delete by transport", INVITE(SDP), .calls = { { "stream_delete", 1, { ".", "SAVPF" } }, { "stream_delete", -1, { "video" } } }, .body = SDP_HEAD AUDIO },
};

static const struct scene replies[] = {
	{ "change_reply_status", REPLY("486 Busy Here"), .calls = { { "change_reply_status", 1, { "503", "Out of order" } } }, .has = { "SIP/2.0 503 Out of order\r\n" } },
	{ "change_reply_status keeps the class of success", REPLY("200 OK"), .calls = { { "change_reply_status", -1, { "486", "Busy" } }, { "change_reply_status", 1, { "202", "Accepted" } } }, .has = { "SIP/2.0 202 Accepted\r\n" } },
	{ "change_reply_status never makes a success", REPLY("404 Not Found"), .calls = { { "change_reply_status", -1, { "200", "OK" } }, { "change_reply_status", -1, { "180", "Ringing" } } }, .has = { "SIP/2.0 404 Not Found\r\n" } },
	{ "change_reply_status writes one line", REPLY("404 Not Found"), .calls = { { "change_reply_status", -1, { "500", "a\r\nX: y" } } }, .has = { "SIP/2.0 404 Not Found\r\n" } },
	{ "append_hf to a reply", REPLY("180 Ringing"), .calls = { { "append_hf", 1, { "X-R: 1\r\n" } } }, .has = { "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 198.51.100.7", "X-R: 1\r\n\r\n" } },
};

#define VALIDATE(rc, ...) .calls = { { "sipmsg_validate", rc, { __VA_ARGS__ } } }
#define BARE(headers) "OPTIONS sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n" headers
#define FROM "From: <sip:a@h>;tag=a\r\n"
#define TO "To: <sip:b@h>\r\n"
static const struct scene validations[] = {
	{ "valid", INVITE(SDP), VALIDATE(1, "shrftc") },
	{ "valid options", BARE(FROM TO "Max-Forwards: 1\r\n\r\n"), VALIDATE(1, "h") },
	{ "no Max-Forwards", BARE(FROM TO "\r\n"), VALIDATE(-13, "", ""), .var = "no Max-Forwards" },
	{ "no Max-Forwards wanted", BARE(FROM TO "\r\n"), VALIDATE(1, "m") },
	{ "no Contact", "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 1\r\n" FROM TO "Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n", VALIDATE(-14) },
	{ "bad SDP", INVITE("v=0\r\nm=audio\r\n"), VALIDATE(-6, "s") },
	{ "bad SDP not looked at", INVITE("v=0\r\nm=audio\r\n"), VALIDATE(1) },
	{ "no type", HEAD("INVITE", "\r\n") "x", VALIDATE(-21, "", ""), .var = "a body without Content-Type" },
	{ "Path outside REGISTER", BARE(FROM TO "Max-Forwards: 1\r\nPath: <sip:p>\r\n\r\n"), VALIDATE(-15) },
	{ "bad To", BARE(FROM "To: <sip:b@h\r\nMax-Forwards: 1\r\n\r\n"), VALIDATE(-22) },
	{ "bad host in From", BARE("From: <sip:a@-h>;tag=a\r\n" TO "Max-Forwards: 1\r\n\r\n"), VALIDATE(-25, "f") },
	{ "bad host in From not looked at", BARE("From: <sip:a@-h>;tag=a\r\n" TO "Max-Forwards: 1\r\n\r\n"), VALIDATE(1) },
	{ "star outside REGISTER", BARE(FROM TO "Max-Forwards: 1\r\nContact: *\r\n\r\n"), VALIDATE(-30) },
	{ "405 without Allow", REPLY("405 No"), VALIDATE(-16) },
	{ "423 without Min-Expires", REPLY("423 No"), VALIDATE(-17) },
	{ "407 without challenge", REPLY("407 No"), VALIDATE(-18) },
	{ "420 without Unsupported", REPLY("420 No"), VALIDATE(-19) },
	{ "401 without challenge", REPLY("401 No"), VALIDATE(-20) },
	{ "no length on a stream is the parser's finding", REPLY("404 No"), VALIDATE(1), .socket = "tcp:192.0.2.1:5060" },
};

#define PLAY(table) static void play_##table(void **state) \
	{ stand_up(); for (size_t i = 0; i < COUNT_OF(table); i++) play(&table[i], &mod_sipmsgops); stand_down(); regex_thread_done(); }
PLAY(headers) PLAY(questions) PLAY(uris) PLAY(bodies) PLAY(codecs) PLAY(replies) PLAY(validations)

/* ---- our own replies ------------------------------------------------------------------------------------------------------------ */

static void own_replies(void **state)
{
	static const struct call calls[] = {
		{ "append_to_reply", 1, { "Content-Type: text/plain\r\n" } }, { "append_to_reply", 1, { "X-A: 1" } },
		{ "append_to_reply", -1, { "Content-Length: 7\r\n" } }, { "append_to_reply", -1, { "X-B: 1\r\n\r\nbody" } },
		{ "append_body_to_reply", 1, { "hel" } }, { "append_body_to_reply", 1, { "lo" } }, { "append_time", 1 },
	};
	static const struct { uint64_t ms; const char *date; } dates[] = {
		{ 0, "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n" }, { 1709210096000, "Date: Thu, 29 Feb 2024 12:34:56 GMT\r\n" },
		{ 1735689599999, "Date: Tue, 31 Dec 2024 23:59:59 GMT\r\n" }, { 4107542400000, "Date: Mon, 01 Mar 2100 00:00:00 GMT\r\n" },
	};

	for (size_t d = 0; d < COUNT_OF(dates); d++) {
		stand_up();
		struct msg *m = stand_msg(PLAIN, "udp:192.0.2.1:5060", "198.51.100.7:5060");
		struct run  r = run_for(m);
		struct laid l;

		stand.w.loop->unix_ms = dates[d].ms;
		for (size_t i = 0; i < COUNT_OF(calls); i++)
			assert_int_equal(call(&r, &mod_sipmsgops, &calls[i], "own replies"), calls[i].rc);
		assert_true(layout_own_reply(m, &(struct own_reply){ .status = 404, .to_tag = VIEW("t") }, m->arena, &l));
		struct view bytes = laid_flat(&l, m->arena);
		assert_true(view_is(sent_body(bytes, "own reply"), VIEW("hello")));
		assert_true(view_has(bytes, "Content-Type: text/plain\r\nX-A: 1\r\n"));
		assert_true(view_has(bytes, dates[d].date));
		assert_true(layout_own_reply(m, &(struct own_reply){ .status = 100 }, m->arena, &l));
		assert_int_equal(sent_body(laid_flat(&l, m->arena), "100").n, 0);
		msg_unref(m);
		stand_down();
	}
}

/* ---- found at load ---------------------------------------------------------------------------------------------------------------- */

static void checks(void **state)
{
	static const struct { const char *fn, *arg; bool ok; } rows[] = {
		{ "is_method", "INVITE|ACK|bye", true }, { "is_method", "FOO", true }, { "is_method", "INVITE|FOO", false }, { "is_method", "INVITE|", true },
		{ "is_method", "", false }, { "is_method", "IN VITE", false }, { "is_method", "|BYE", false },
		{ "is_privacy", "id", true }, { "is_privacy", "ids", false }, { "change_reply_status", "486", true }, { "change_reply_status", "99", false },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct script_func *f = mod_sipmsgops.funcs;
		char                      why[128];
		struct out                err = out_to(why, sizeof why);
		while (strcmp(f->name, rows[i].fn) != 0)
			f++;
		const struct arg a[2] = { { .given = true, .s = view_str(rows[i].arg), .i = strtol(rows[i].arg, NULL, 10) } };
		if (f->check(NULL, a, &err) != rows[i].ok)
			fail_msg("%s(\"%s\")", rows[i].fn, rows[i].arg);
		assert_int_equal(err.n > 0, !rows[i].ok);
	}
}

/* Edits of a branch stand on top of those of all branches. */
static void branches(void **state)
{
	stand_up();
	struct msg  *m = stand_msg(INVITE(SDP), "udp:192.0.2.1:5060", "198.51.100.7:5060");
	struct run   r = run_for(m);
	struct edits own = { 0 };
	struct laid  l;

	assert_int_equal(call(&r, &mod_sipmsgops, &(struct call){ "codec_delete", 1, { "opus" } }, "branch"), 1);
	r.edits = &own;
	r.type = ROUTE_BRANCH;
	assert_int_equal(call(&r, &mod_sipmsgops, &(struct call){ "codec_delete", 1, { "PCMU" } }, "branch"), 1);
	assert_int_equal(call(&r, &mod_sipmsgops, &(struct call){ "codec_exists", -1, { "opus" } }, "branch"), -1);
	assert_true(layout_request(m, &m->route, &own, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKours"), m->arena, &l));
	assert_true(view_has(laid_flat(&l, m->arena), "RTP/AVP 8 101\r\n"));
	assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKours"), m->arena, &l));
	assert_true(view_has(laid_flat(&l, m->arena), "RTP/AVP 0 8 101\r\n"));

	/* A part added for all is known as a part in each branch, whose edits may be a copy. */
	r.edits = &m->edits;
	assert_int_equal(call(&r, &mod_sipmsgops, &(struct call){ "add_body_part", 1, { "hi", "text/plain" } }, "branch"), 1);
	own = m->edits;
	r.edits = &own;
	assert_int_equal(call(&r, &mod_sipmsgops, &(struct call){ "codec_delete", 1, { "PCMU" } }, "branch"), 1);
	assert_int_equal(call(&r, &mod_sipmsgops, &(struct call){ "remove_body_part", 1, { "application/sdp", "revert" } }, "branch"), 1);
	assert_int_equal(call(&r, &mod_sipmsgops, &(struct call){ "codec_exists", 1, { "PCMA" } }, "branch"), 1);
	msg_unref(m);
	stand_down();
	regex_thread_done();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(play_headers), cmocka_unit_test(play_questions), cmocka_unit_test(play_uris), cmocka_unit_test(play_bodies),
		cmocka_unit_test(play_codecs), cmocka_unit_test(play_replies), cmocka_unit_test(play_validations), cmocka_unit_test(own_replies),
		cmocka_unit_test(checks), cmocka_unit_test(branches),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
