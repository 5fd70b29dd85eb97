/* mod/sipmsgops -- what a script does to and asks of a message: headers, parts of the body, session descriptions, the request URI.
 * Header and body changes show in the sent message only, those of bodies also to the functions here (opensips-language 10.2). */
#include "mod/sipmsgops/sipmsgops.h"

/* Is it the message's method?  A name of ours in any case; a stranger's name as written. */
static bool method_named(const struct msg *m, struct view name)
{
	struct view method = sip_is_request(&m->sip) ? m->sip.method : m->sip.cseq_method;

	return m->sip.method_id == SIP_OTHER ? view_is(method, name) : view_is_ci(method, name);
}

static int f_is_method(struct run *r, const struct arg *a)
{
	struct view rest = a[0].s;

	while (rest.n)
		if (method_named(r->msg, view_trim(view_cut(&rest, '|'))))
			return SCRIPT_TRUE;
	return SCRIPT_FALSE;
}

static bool known_method(struct view name)
{
	char text[16];

	if (name.n > sizeof text)
		return false;
	for (size_t i = 0; i < name.n; i++)
		text[i] = name.p[i] >= 'a' && name.p[i] <= 'z' ? (char)(name.p[i] - 0x20) : name.p[i];
	return sip_method_of(view_of(text, name.n)) != SIP_OTHER;
}

static bool check_method(struct script_load *l, const struct arg *literal, struct out *err)
{
	struct view rest = literal[0].s;
	bool        list = view_find(rest, '|') < rest.n;

	if (!literal[0].given)
		return true;
	do {
		struct view one = view_trim(view_cut(&rest, '|'));
		if (sip_token(one) && (!list || known_method(one)))
			continue;
		putf(err, "\"" VIEW_FMT "\" is not a method", VIEW_ARG(one));
		if (list && sip_token(one))
			putf(err, " that may stand in a list");
		return false;
	} while (rest.n);
	return true;
}

static int f_has_totag(struct run *r, const struct arg *a)
{
	return yes(r->msg->sip.to_tag.n > 0);
}

/* RFC 3323 4.2: values are separated by semicolons. */
static int f_is_privacy(struct run *r, const struct arg *a)
{
	for (const struct sip_hdr *h = sip_first(&r->msg->sip, HDR_PRIVACY); h; h = sip_next(&r->msg->sip, h)) {
		struct view rest = h->value;
		while (rest.n)
			if (view_is_ci(view_trim(view_cut(&rest, ';')), a[0].s))
				return SCRIPT_TRUE;
	}
	return SCRIPT_FALSE;
}

static bool check_privacy(struct script_load *l, const struct arg *literal, struct out *err)
{
	static const struct view types[] = { VIEW_INIT("header"), VIEW_INIT("session"), VIEW_INIT("user"), VIEW_INIT("none"), VIEW_INIT("critical"),
		VIEW_INIT("id"), VIEW_INIT("history") };

	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (!literal[0].given || view_is_ci(literal[0].s, types[i]))
			return true;
	putf(err, "a privacy type is header, session, user, none, critical, id or history");
	return false;
}

/* A reply may not change between provisional, success and failure: transactions upstream and here would part ways. */
static int f_change_reply_status(struct run *r, const struct arg *a)
{
	uint16_t was = r->msg->sip.status;
	int64_t  code = a[0].i;

	must(a[1].given);
	if (sip_is_request(&r->msg->sip) || code < 100 || code > 699)
		return SCRIPT_FALSE;
	if ((code < 300 || was < 300) && code / 100 != was / 100)
		return SCRIPT_FALSE;
	for (size_t i = 0; i < a[1].s.n; i++)
		if ((unsigned char)a[1].s.p[i] < ' ' && a[1].s.p[i] != '\t')
			return SCRIPT_FALSE;
	struct view reason = arena_copy(r->msg->arena, a[1].s);
	if (!reason.p)
		return SCRIPT_FALSE;
	r->msg->new_status = (uint16_t)code;
	r->msg->new_reason = reason;
	return SCRIPT_TRUE;
}

static bool check_status(struct script_load *l, const struct arg *literal, struct out *err)
{
	if (!literal[0].given || (literal[0].i >= 100 && literal[0].i <= 699))
		return true;
	putf(err, "a status is 100 to 699");
	return false;
}

enum { Q = ROUTE_REQUEST, R = ROUTE_ONREPLY, F = ROUTE_FAILURE, B = ROUTE_BRANCH, L = ROUTE_LOCAL, E = ROUTE_ERROR,
	ALL = Q | R | F | B | L, STR = ARG_STR, RE = ARG_REGEX, VAR = ARG_VAR, OPT = ARG_OPT };
static const struct script_func funcs[] = {
	{ "append_hf", f_append_hf, { STR, STR | OPT }, ALL, "add header lines after the last header, or after the first one of that name" },
	{ "insert_hf", f_insert_hf, { STR, STR | OPT }, ALL, "add header lines before the first header, or before the first one of that name" },
	{ "append_urihf", f_append_urihf, { STR, STR }, Q | F | B, "add a header line: prefix, received request URI, suffix" },
	{ "remove_hf", f_remove_hf, { STR }, ALL, "remove every header of that name: true when there was one" },
	{ "remove_hf_re", f_remove_hf_re, { RE }, ALL, "remove every header whose name matches" },
	{ "remove_hf_glob", f_remove_hf_glob, { STR }, ALL, "remove every header whose name matches the shell pattern" },
	{ "is_present_hf", f_is_present_hf, { STR }, ALL, "was a header of that name received, in long or compact form" },
	{ "get_glob_headers_values", f_get_glob_headers_values, { STR, VAR, VAR }, ALL, "names and values of the headers that match the shell pattern" },
	{ "append_to_reply", f_append_to_reply, { STR }, Q | F | B | E, "add header lines to our own replies to this request" },
	{ "append_body_to_reply", f_append_body_to_reply, { STR }, Q | F | B | E, "add a body to our own replies; its Content-Type comes by append_to_reply()" },
	{ "append_time", f_append_time, { ARG_NONE }, Q | F | B | L, "add a Date header to our own replies" },
	{ "is_method", f_is_method, { STR }, ALL, "is it one of these methods: \"INVITE|BYE\"; of a reply the one in CSeq", NULL, check_method },
	{ "has_totag", f_has_totag, { ARG_NONE }, ALL, "has To a tag: an in-dialog request" },
	{ "has_body", f_has_body, { STR | OPT }, ALL, "is there a body, or a part, of that type" },
	{ "has_body_part", f_has_body, { STR | OPT }, ALL, "is there a body, or a part, of that type" },
	{ "is_privacy", f_is_privacy, { STR }, ALL, "does Privacy ask for that (RFC 3323)", NULL, check_privacy },
	{ "add_body_part", f_add_body_part, { STR, STR, STR | OPT }, ALL, "add a body, or a part to the one there is: text, type, header lines" },
	{ "remove_body_part", f_remove_body_part, { STR | OPT, STR | OPT }, ALL, "remove the body or the parts of that type; \"revert\": all others" },
	{ "get_updated_body_part", f_get_updated_body_part, { STR | OPT, VAR }, ALL, "the body or part of that type as it would be sent now" },
	{ "codec_exists", f_codec_exists, { STR, STR | OPT }, ALL, "does a stream offer the codec (and clock rate)" },
	{ "codec_exists_re", f_codec_exists_re, { RE }, ALL, "does a stream offer a codec whose name matches" },
	{ "codec_delete", f_codec_delete, { STR, STR | OPT }, ALL, "remove the codec from every stream" },
	{ "codec_delete_re", f_codec_delete_re, { RE }, ALL, "remove codecs whose name matches" },
	{ "codec_delete_except_re", f_codec_delete_except_re, { RE }, ALL, "remove codecs whose name does not match" },
	{ "codec_move_up", f_codec_move_up, { STR, STR | OPT }, ALL, "prefer the codec" },
	{ "codec_move_up_re", f_codec_move_up_re, { RE }, ALL, "prefer codecs whose name matches" },
	{ "codec_move_down", f_codec_move_down, { STR, STR | OPT }, ALL, "like the codec least" },
	{ "codec_move_down_re", f_codec_move_down_re, { RE }, ALL, "like codecs whose name matches least" },
	{ "is_audio_on_hold", f_is_audio_on_hold, { ARG_NONE }, ALL, "1 by a null address, 2 by inactive or sendonly" },
	{ "sipmsg_validate", f_sipmsg_validate, { STR | OPT, VAR | OPT }, Q | R | F | B, "check the message: letters s h m r f t c, reason; 1 or the fault's code" },
	{ "change_reply_status", f_change_reply_status, { ARG_INT, STR }, R, "send the reply on with this status and reason, of the same class", NULL, check_status },
	{ "stream_exists", f_stream_exists, { RE, RE | OPT }, ALL, "is there a stream whose media (and transport) matches" },
	{ "stream_delete", f_stream_delete, { RE, RE | OPT }, ALL, "remove streams whose media (and transport) matches" },
	{ "list_hdr_has_option", f_list_hdr_has_option, { STR, STR }, ALL, "is the token in the comma list of that header" },
	{ "list_hdr_add_option", f_list_hdr_add_option, { STR, STR }, ALL, "add the token to the comma list, or the header with it" },
	{ "list_hdr_remove_option", f_list_hdr_remove_option, { STR, STR }, ALL, "remove the token; the last one takes the header with it" },
	{ "ruri_has_param", f_ruri_has_param, { STR, STR | OPT }, Q | F | B | L, "has the request URI that parameter (without a value, or with this one)" },
	{ "ruri_add_param", f_ruri_add_param, { STR }, Q | F | B | L, "add \"name=value\" to the request URI unless the name is there" },
	{ "ruri_del_param", f_ruri_del_param, { STR }, Q | F | B | L, "remove a parameter of the request URI" },
	{ "ruri_tel2sip", f_ruri_tel2sip, { ARG_NONE }, Q | F | B | L, "make a tel: request URI a sip: one at From's host (RFC 3261 19.1.6)" },
	{ "is_uri_user_e164", f_is_uri_user_e164, { STR }, Q | F | L, "is the URI's user a + and 2 to 15 digits" },
	{ "sip_to_json", f_sip_to_json, { VAR }, ALL, "the received message as JSON" },
	{ NULL },
};
const struct module mod_sipmsgops = { .name = "sipmsgops", .id = MOD_sipmsgops, .funcs = funcs, .help = "headers, bodies and URIs of a message" };
