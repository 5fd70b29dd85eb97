/* The core's variables: one row each, names and aliases as operators write them (opensips-language.md 10.1, 17).  The variables that the
 * virtual machine keeps itself ($var, $param, $return, $rc, $route, $cfg_line, $argv, $err) stand in vm_vars.c. */
#include "script/rows.h"

#define READ(name, fn, help)          { name, get_##fn, NULL, NULL, 0, help }
#define WRITE(name, fn, help)         { name, get_##fn, set_##fn, NULL, 0, help }
#define INDEXED(name, fn, help)       { name, get_##fn, NULL, NULL, VAR_INDEX, help }

const struct script_var core_vars[] = {
	WRITE("ru", ruri, "request URI"), WRITE("ruri", ruri, "request URI"),
	WRITE("rU", ruri_user, "user of the request URI"), WRITE("ruri.user", ruri_user, "user of the request URI"),
	WRITE("rd", ruri_host, "domain of the request URI"), WRITE("ruri.domain", ruri_host, "domain of the request URI"),
	WRITE("rp", ruri_port, "port of the request URI, default when unset"), WRITE("ruri.port", ruri_port, "port of the request URI, default when unset"),
	READ("rP", ruri_proto, "transport of the request URI"), WRITE("ru_q", ruri_q, "q of the request URI's branch, 0..1000"),
	READ("ou", orig_uri, "request URI as received"), READ("oU", orig_user, "user of the received request URI"),
	READ("od", orig_host, "domain of the received request URI"), READ("op", orig_port, "port of the received request URI"),
	READ("oP", orig_proto, "transport of the received request URI"),
	WRITE("du", duri, "destination URI"), WRITE("duri", duri, "destination URI"), WRITE("dd", duri_host, "domain of the destination"),
	WRITE("dp", duri_port, "port of the destination"), READ("dP", duri_proto, "transport of the destination"),
	READ("ds", duri_set, "the whole destination set as a Contact line"),

	READ("fu", from_uri, "From URI"), READ("from", from_uri, "From URI"), READ("fU", from_user, "From user"), READ("from.user", from_user, "From user"),
	READ("fd", from_host, "From domain"), READ("from.domain", from_host, "From domain"), READ("fn", from_name, "From display name"),
	READ("ft", from_tag, "From tag"), READ("tu", to_uri, "To URI"), READ("to", to_uri, "To URI"), READ("tU", to_user, "To user"),
	READ("to.user", to_user, "To user"), READ("td", to_host, "To domain"), READ("to.domain", to_host, "To domain"), READ("tn", to_name, "To display name"),
	READ("tt", to_tag, "To tag"),

	READ("rm", method, "method; of a reply, from CSeq"), READ("rs", status, "status of a reply"), READ("rr", reason, "reason phrase of a reply"),
	READ("ci", call_id, "Call-ID"), READ("cs", cseq, "CSeq number"), READ("cl", content_length, "Content-Length"), READ("cT", content_type, "Content-Type"),
	INDEXED("ct", contact, "Contact, n-th element"),
	{ "ct.fields", get_contact_fields, NULL, bind_field_contact, VAR_SUB | VAR_SUB_REQUIRED | VAR_INDEX, "a field of the n-th Contact: name uri q expires methods received params" },
	{ "hdr", get_hdr, NULL, bind_hdr, VAR_SUB | VAR_SUB_REQUIRED | VAR_INDEX, "body of the n-th header with that name, as received" },
	{ "hdrcnt", get_hdrcnt, NULL, bind_hdr, VAR_SUB | VAR_SUB_REQUIRED, "number of headers with that name" },
	INDEXED("hdr_name", hdr_name, "name of the n-th header"),
	{ "rb", get_body, NULL, NULL, 0, "body" }, READ("mb", msg_text, "the whole message"), READ("ml", msg_len, "length of the message"),
	READ("mi", msg_id, "number of the message on this worker"), READ("ua", user_agent, "User-Agent"), INDEXED("path", path, "Path"),
	READ("msg.type", msg_type, "\"request\" or \"reply\""), READ("msg.is_request", msg_is_request, "1 for a request"),
	READ("ai", pai_uri, "P-Asserted-Identity URI"), READ("pu", ppi_uri, "P-Preferred-Identity URI"), READ("pU", ppi_user, "P-Preferred-Identity user"),
	READ("pd", ppi_host, "P-Preferred-Identity domain"), READ("pn", ppi_name, "P-Preferred-Identity display name"), READ("re", rpid_uri, "Remote-Party-ID URI"),
	READ("di", diversion, "Diversion URI"), READ("dir", diversion_reason, "Diversion reason"), READ("dip", diversion_privacy, "Diversion privacy"),
	READ("rt", refer_to, "Refer-To URI"),
	READ("au", auth_user, "user of the credentials"), READ("aU", auth_whole, "whole username of the credentials"), READ("ad", auth_domain, "domain of the credentials' username"),
	READ("ar", auth_realm, "realm of the credentials"), READ("adu", auth_uri, "digest URI of the credentials"), READ("an", auth_nonce, "nonce of the credentials"),
	READ("auth.resp", auth_resp, "digest response"), READ("auth.nonce", auth_nonce, "digest nonce"), READ("auth.cnonce", auth_cnonce, "client nonce"),
	READ("auth.opaque", auth_opaque, "digest opaque"), READ("auth.alg", auth_alg, "digest algorithm"), READ("auth.qop", auth_qop, "quality of protection"),
	READ("auth.nc", auth_nc, "nonce count"),
	READ("Au", acc_user, "user@realm of the credentials, else From"),

	READ("si", src_ip, "source address (the real one with real_source)"), READ("src_ip", src_ip, "source address (the real one with real_source)"),
	READ("sp", src_port, "source port (the real one with real_source)"),
	{ "socket_in", get_socket_in, NULL, bind_socket_field, VAR_SUB, "the socket a message came in by, or a field of it" },
	{ "socket_out", get_socket_out, set_socket_out, bind_socket_field, VAR_SUB, "the forced sending socket, or a field of it" },
	{ "proxy_protocol", get_proxy_protocol, NULL, bind_pp_field, VAR_SUB | VAR_SUB_REQUIRED, "a field of the PROXY header" },
	{ "wire", get_wire, NULL, bind_wire_field, VAR_SUB | VAR_SUB_REQUIRED, "the transport peer: ip, port, proto" },

	{ "avp", get_avp, set_avp, NULL, VAR_SUB | VAR_SUB_REQUIRED | VAR_INDEX, "attribute of the transaction, a stack" },
	{ "msg.flag", get_msg_flag, set_msg_flag, bind_msg_flag, VAR_SUB | VAR_SUB_REQUIRED, "message flag by name" },
	READ("mf", msg_flags, "names of the message flags that are set"), READ("bf", bflags, "names of the branch flags that are set"),
	{ "msg.branch", get_branch_new, set_branch_new, NULL, VAR_INDEX, "URI of a branch; writing appends one" },
	{ "msg.branch.uri", get_branch_uri, set_branch_uri, NULL, VAR_INDEX, "URI of a branch" },
	{ "msg.branch.duri", get_branch_duri, set_branch_duri, NULL, VAR_INDEX, "destination of a branch" },
	{ "msg.branch.path", get_branch_path, set_branch_path, NULL, VAR_INDEX, "Path of a branch" },
	{ "msg.branch.q", get_branch_q, set_branch_q, NULL, VAR_INDEX, "q of a branch, 0..1000" },
	{ "msg.branch.flags", get_branch_flags, set_branch_flags, NULL, VAR_INDEX, "flags of a branch" },
	{ "msg.branch.socket", get_branch_socket, set_branch_socket, NULL, VAR_INDEX, "sending socket of a branch" },
	{ "msg.branch.flag", get_branch_flag, set_branch_flag, bind_branch_flag, VAR_SUB | VAR_SUB_REQUIRED | VAR_INDEX, "flag of a branch by name" },
	{ "msg.branch.attr", get_branch_attr, set_branch_attr, NULL, VAR_SUB | VAR_SUB_REQUIRED | VAR_INDEX, "named attribute of a branch" },
	READ("msg.branch.last_idx", branch_last, "index of the last branch"),
	{ "branch", get_old_branch, set_old_branch, bind_old_branch, VAR_SUB | VAR_INDEX, "added branch, 3.x spelling" },
	{ "branch.flag", get_branch_flag, set_branch_flag, bind_branch_flag, VAR_SUB | VAR_SUB_REQUIRED | VAR_INDEX, "flag of a branch, 3.x spelling" },

	READ("Ts", time_s, "seconds since 1970"), READ("Tsm", time_ms, "microseconds of the present second"), READ("TS", time_start, "when the server started, seconds since 1970"),
	READ("Tf", time_text, "time as text"), { "time", get_time_format, NULL, NULL, VAR_SUB | VAR_SUB_REQUIRED, "time in a strftime format" },
	READ("pp", pid, "process id"), WRITE("log_level", log_level, "level of the log"), WRITE("xlog_level", xlog_level, "level of xlog()"),
	{ "C", get_color, NULL, NULL, VAR_SUB | VAR_SUB_REQUIRED, "terminal colour" },
	{ NULL },
};
