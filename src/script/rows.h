/* script/rows.h -- private to script/: what the engine's own rows (variables, transformations, functions) share.
 * A second private header beside ast.h, because the rows and the compiler know nothing of each other but script.h. */
#ifndef SCRIPT_ROWS_H
#define SCRIPT_ROWS_H
#include "script/script.h"

/* ---- branches.c: the destination set of a message; index 0 is the R-URI branch, added ones follow ------------------------ */

/* Branch by index; negative counts from the end (-1 = last).  NULL when there is none. */
struct msg_route *branch_at(struct run *r, int index);
int               branch_count(const struct run *r);                 /* with the R-URI branch; 0 in replies */
/* Append a branch to that URI; `like` gives what it inherits (NULL = nothing). NULL when full or the URI is not one. */
struct msg_route *branch_append(struct run *r, struct view uri, const struct msg_route *like);
bool              branch_remove(struct run *r, int added);           /* index among the added ones */

/* ---- transforms.c ---------------------------------------------------------------------------------------------------------- */

bool transform_set(struct value *v, struct view s);                       /* a text; false when it is VIEW_NONE */
bool transform_int(struct run *r, struct value *v, int64_t i);            /* a number; only its text when 32 bits do not hold it */
bool transform_index(const struct value *arg, int64_t *out);              /* an argument as a number; false when it is none */
bool transform_value(struct value *v, struct view value);                 /* a parameter's value, without its quotes */
bool transform_room(struct run *r, struct out *o, size_t cap);            /* writing space in the message's memory */
bool transform_done(struct value *v, const struct out *o);                /* what was written becomes the value */

/* Rows of core_transforms[] that stand in transforms_sip.c. */
#define TRANSFORMS_SIP(T) \
	T(uri_user) T(uri_host) T(uri_passwd) T(uri_port) T(uri_params) T(uri_param) T(uri_headers) T(uri_transport) T(uri_ttl) \
	T(uri_uparam) T(uri_maddr) T(uri_method) T(uri_lr) T(uri_r2) T(uri_schema) \
	T(via_name) T(via_version) T(via_transport) T(via_host) T(via_port) T(via_comment) T(via_params) T(via_param) T(via_branch) \
	T(via_received) T(via_rport) \
	T(nameaddr_name) T(nameaddr_uri) T(nameaddr_len) T(nameaddr_param) T(nameaddr_params) \
	T(ip_pton) T(ip_ntop) T(ip_isip) T(ip_isip4) T(ip_isip6) T(ip_family) T(ip_matches) T(ip_isprivate) T(sdp_line)
#define T(name) bool name(struct run *r, struct value *v, const struct value *a, int n);
TRANSFORMS_SIP(T)
#undef T

/* ---- the rows of core_vars[], by file ---------------------------------------------------------------------------------------- */

/* A text that may be absent: an empty view is NULL. */
static inline bool var_text(struct value *out, struct view s)
{
	if (!s.n)
		return false;
	*out = value_str(s);
	return true;
}
/* A parameter's value without the quotes around it; what they escape stays escaped. */
static inline struct view var_unquoted(struct view v)
{
	return v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"' ? view_sub(v, 1, v.n - 2) : v;
}
static inline bool var_int(struct run *r, struct value *out, int64_t i)
{
	*out = value_int(r->tmp, (int32_t)i);
	return true;
}
/* The text of an assigned value; NULL gives an empty view. */
static inline struct view var_value_text(const struct value *v) { return value_null(v) ? VIEW_NONE : v->s; }
/* Position of a name among `n` of a table, any case, for sub-names known only at run time; -1 = none. */
int  var_word(const struct view *table, size_t n, struct view name);
/* With [*]: every value from index 0 on, joined by ", "; else one value. */
bool var_join(struct run *r, const struct var_use *u, struct value *out, bool (*one)(struct run *, const struct var_use *, int, struct value *));

/* vars_uri.c: request URI and destination */
#define VARS_URI(V) \
	V(ruri) V(ruri_user) V(ruri_host) V(ruri_port) V(ruri_proto) V(ruri_q) V(orig_uri) V(orig_user) V(orig_host) V(orig_port) V(orig_proto) \
	V(duri) V(duri_host) V(duri_port) V(duri_proto) V(duri_set)
/* The socket (or "bond:NAME") that a branch leaves by; NULL = choose. 1, or -1 when there is none of that name. */
int route_set_socket(const struct run *r, struct msg_route *to, const struct value *v);
/* User and password of $ru at once; an empty user leaves none. 1 or -1. */
int ruri_set_userpass(struct run *r, struct view user, struct view password);
/* vars_msg.c: headers and what stands in them */
#define VARS_MSG(V) \
	V(from_uri) V(from_user) V(from_host) V(from_name) V(from_tag) V(to_uri) V(to_user) V(to_host) V(to_name) V(to_tag) \
	V(method) V(status) V(reason) V(call_id) V(cseq) V(content_length) V(content_type) V(contact) V(contact_fields) V(hdr) V(hdrcnt) V(hdr_name) \
	V(body) V(msg_text) V(msg_len) V(msg_id) V(user_agent) V(path) V(msg_type) V(msg_is_request) \
	V(pai_uri) V(ppi_uri) V(ppi_user) V(ppi_host) V(ppi_name) V(rpid_uri) V(diversion) V(diversion_reason) V(diversion_privacy) V(refer_to) \
	V(auth_user) V(auth_whole) V(auth_domain) V(auth_realm) V(auth_uri) V(auth_nonce) V(auth_resp) V(auth_cnonce) V(auth_opaque) V(auth_alg) V(auth_qop) V(auth_nc) V(acc_user)
/* vars_net.c: where it came from and goes to */
#define VARS_NET(V) V(src_ip) V(src_port) V(socket_in) V(socket_out) V(proxy_protocol) V(wire)
/* vars_script.c: the script's own state */
#define VARS_SCRIPT(V) V(avp) V(msg_flag) V(msg_flags) V(bflags) V(branch_new) V(branch_uri) V(branch_duri) V(branch_path) V(branch_q) V(branch_flags) \
	V(branch_socket) V(branch_flag) V(branch_attr) V(branch_last) V(old_branch) V(time_s) V(time_ms) V(time_start) V(time_text) V(time_format) V(pid) V(log_level) V(xlog_level) V(color)
#define V(name) bool get_##name(struct run *r, const struct var_use *u, struct value *out);
VARS_URI(V) VARS_MSG(V) VARS_NET(V) VARS_SCRIPT(V)
#undef V
typedef int var_set(struct run *r, const struct var_use *u, enum assign op, const struct value *v);
var_set set_ruri, set_ruri_user, set_ruri_host, set_ruri_port, set_ruri_q, set_duri, set_duri_host, set_duri_port, set_socket_out, set_avp,
	set_msg_flag, set_branch_new, set_branch_uri, set_branch_duri, set_branch_path, set_branch_q, set_branch_flags, set_branch_socket, set_branch_flag,
	set_branch_attr, set_old_branch, set_log_level, set_xlog_level;
typedef bool var_bind(struct script_load *l, struct view sub, int64_t *bound, struct out *err);
var_bind bind_hdr, bind_field_contact, bind_socket_field, bind_pp_field, bind_wire_field, bind_msg_flag, bind_branch_flag, bind_old_branch;
#endif
