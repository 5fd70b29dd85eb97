/* mod/sipmsgops/sipmsgops.h -- the functions of the module, by file; private to the folder.
 * Script functions (f_*) have their contract in their row's help line in sipmsgops.c. */
#ifndef MOD_SIPMSGOPS_H
#define MOD_SIPMSGOPS_H
#include "mod/mod.h"
#include "mod/sipmsgops/api.h"

/* A finding as the script sees it. */
static inline int yes(bool b) { return b ? SCRIPT_TRUE : SCRIPT_FALSE; }

/* headers.c */
int f_append_hf(struct run *r, const struct arg *a);
int f_insert_hf(struct run *r, const struct arg *a);
int f_append_urihf(struct run *r, const struct arg *a);
int f_remove_hf(struct run *r, const struct arg *a);
int f_remove_hf_re(struct run *r, const struct arg *a);
int f_remove_hf_glob(struct run *r, const struct arg *a);
int f_is_present_hf(struct run *r, const struct arg *a);
int f_get_glob_headers_values(struct run *r, const struct arg *a);
int f_append_to_reply(struct run *r, const struct arg *a);
int f_append_body_to_reply(struct run *r, const struct arg *a);
int f_append_time(struct run *r, const struct arg *a);
int f_list_hdr_has_option(struct run *r, const struct arg *a);
int f_list_hdr_add_option(struct run *r, const struct arg *a);
int f_list_hdr_remove_option(struct run *r, const struct arg *a);

/* body.c */

/* The Content-Type that goes with body_now(); empty = none. */
struct view body_type_now(const struct run *r);
/* The media type of a Content-Type value is `want` ("application/sdp"); an empty `want` is any. */
bool        body_type_is(struct view content_type, struct view want);
/* The first part of that type in the present body: the body itself, or a part of a multipart. False when there is none. */
bool        body_find(const struct run *r, struct view type, struct view *part);
/* Replace bytes of the present body; Content-Length follows by itself. */
bool        body_replace(struct run *r, struct view bytes, struct view text);
int f_has_body(struct run *r, const struct arg *a);
int f_add_body_part(struct run *r, const struct arg *a);
int f_remove_body_part(struct run *r, const struct arg *a);
int f_get_updated_body_part(struct run *r, const struct arg *a);

/* sdp.c */
int f_codec_exists(struct run *r, const struct arg *a);
int f_codec_exists_re(struct run *r, const struct arg *a);
int f_codec_delete(struct run *r, const struct arg *a);
int f_codec_delete_re(struct run *r, const struct arg *a);
int f_codec_delete_except_re(struct run *r, const struct arg *a);
int f_codec_move_up(struct run *r, const struct arg *a);
int f_codec_move_up_re(struct run *r, const struct arg *a);
int f_codec_move_down(struct run *r, const struct arg *a);
int f_codec_move_down_re(struct run *r, const struct arg *a);
int f_stream_exists(struct run *r, const struct arg *a);
int f_stream_delete(struct run *r, const struct arg *a);
int f_is_audio_on_hold(struct run *r, const struct arg *a);
/* A session description that can be read: v=, o=, s=, t= in order, every line "x=...", every m= with media, port and protocol. */
bool sdp_fine(struct view sdp);

/* uri.c */
int f_ruri_has_param(struct run *r, const struct arg *a);
int f_ruri_add_param(struct run *r, const struct arg *a);
int f_ruri_del_param(struct run *r, const struct arg *a);
int f_ruri_tel2sip(struct run *r, const struct arg *a);
int f_is_uri_user_e164(struct run *r, const struct arg *a);

/* validate.c */
int f_sipmsg_validate(struct run *r, const struct arg *a);

/* json.c */
int f_sip_to_json(struct run *r, const struct arg *a);
#endif
