/* script/transforms.h -- private to script/: helpers of the transformation rows, and the rows of SIP values. */
#ifndef SCRIPT_TRANSFORMS_H
#define SCRIPT_TRANSFORMS_H
#include "script/script.h"

bool transform_set(struct value *v, struct view s);                       /* a text; false when it is VIEW_NONE */
bool transform_int(struct run *r, struct value *v, int64_t i);
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
#endif
