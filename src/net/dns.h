/* net/dns.h -- inside the resolver: answers and their cache, questions in flight, and the walk of RFC 3263 over both.
 * Private to net/resolver*.c. */
#ifndef NET_DNS_H
#define NET_DNS_H
#include "net/net.h"

/* What is asked; also part of the cache's key. */
enum dns_type { DNS_NAPTR, DNS_SRV, DNS_A, DNS_AAAA };

/* How a question ended.  DNS_NONE is the name server's word that there is nothing; DNS_FAILED that nobody answered usefully. */
enum dns_end { DNS_FOUND, DNS_NONE, DNS_FAILED };

/* One record, decoded and judged.  NAPTR: a = order, b = preference; SRV: a = priority, b = weight; else only `to`. */
struct dns_record {
	uint16_t       a, b, port;
	enum transport transport;    /* NAPTR: what its service field means */
	bool           secure;       /* NAPTR: a sips service */
	struct addr    to;           /* A, AAAA: port 0 */
	struct view    name;         /* NAPTR: the SRV name; SRV: the target, empty for "." (RFC 2782: no service here) */
};
/* What one question found; immutable, shared by the cache and by jobs. */
struct dns_answer {
	uint32_t          refs;
	enum dns_end      end;
	const char       *why;       /* when not found */
	uint64_t          ttl_ms;
	size_t            n;
	struct dns_record record[];  /* names lie behind */
};
struct dns_answer *dns_answer_ref(struct dns_answer *a);
void               dns_answer_unref(struct dns_answer *a);      /* NULL is fine */
/* An answer without records; NULL without memory. */
struct dns_answer *dns_answer_none(enum dns_end end, const char *why);
/* Copy of n records with their names, at most DNS_CANDIDATES of them; n == 0 makes it a DNS_NONE. NULL without memory. */
struct dns_answer *dns_answer_new(const struct dns_record *list, size_t n, uint64_t ttl_ms);

/* Decode an answer packet of that type: c-ares reads it, this judges and sorts it (NAPTR by order and preference, SRV by
 * priority), and takes the shortest TTL. NULL when it is malformed or memory is out. */
struct dns_answer *dns_read_naptr(const unsigned char *packet, int n);
struct dns_answer *dns_read_srv(const unsigned char *packet, int n);

/* A host name that may be asked for: 1 to DNS_NAME_BYTES letters, digits, '-', '_' in labels of 1 to 63, not ending in an
 * all-digit label (that would be a bad address, RFC 1123 2.1).  Writes it lower-cased without a final dot to `out`
 * (room for DNS_NAME_BYTES). */
bool dns_name_ok(struct view name, char *out, size_t *n);

/* ---- cache ----------------------------------------------------------------------------------------------------------------- */

struct dns_cache { struct table table; struct list by_use; struct hash_key key; };
bool dns_cache_init(struct dns_cache *c, struct hash_key key);
void dns_cache_done(struct dns_cache *c);
/* An answer still good at now_ms, borrowed until the cache changes; NULL when there is none. */
struct dns_answer *dns_cache_get(struct dns_cache *c, enum dns_type t, struct view name, uint64_t now_ms);
/* The last good answer although its time is over, at most DNS_STALE_MS ago; it is good again for DNS_STALE_RETRY_MS, so that
 * a dead name server is not asked for each message.  NULL when there is none. */
struct dns_answer *dns_cache_stale(struct dns_cache *c, enum dns_type t, struct view name, uint64_t now_ms);
/* Remember an answer for its TTL; the name used longest ago makes room. Without memory nothing is remembered. */
void dns_cache_put(struct dns_cache *c, enum dns_type t, struct view name, struct dns_answer *a, uint64_t now_ms);
uint64_t dns_key_hash(struct hash_key key, enum dns_type t, struct view name);

/* ---- RFC 3263 -------------------------------------------------------------------------------------------------------------- */

/* One walk over what is known.  `look` gives the answer to a question or NULL: not known yet (then `missing` is set, and the list means
 * nothing).  The walk asks everything that it will need, so that questions travel together; a walk without `missing` is the result. */
struct dns_walk {
	const struct resolve_ask  *ask;       /* host lower-cased and valid */
	const struct resolver_conf *conf;
	const struct dns_answer *(*look)(struct dns_walk *w, enum dns_type t, struct view name);
	void                      *arg;
	uint64_t                 (*rand64)(void *);
	void                      *rand_arg;
	struct candidate          *list;      /* DNS_CANDIDATES */
	size_t                     n;
	bool                       missing;
	const char                *why;       /* the last thing that was missing */
};
void dns_walk(struct dns_walk *w);
/* The transport for an address or a name with a port; TR_NONE when none is usable (RFC 3263 4.1). */
enum transport dns_plain_transport(const struct resolve_ask *ask);
#endif
