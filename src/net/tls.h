/* net/tls.h -- private to the TLS files of src/net: what they share and what needs OpenSSL's types. */
#ifndef NET_TLS_H
#define NET_TLS_H
#include "net/stage.h"
#include <openssl/ssl.h>

/* Callbacks of a context: SNI, tickets and ALPN of a server, sessions of a client. */
void               tls_ctx_hooks(SSL_CTX *ctx, bool server);

struct tls_domain;
/* The domain for an accepted connection by local address and SNI; NULL = refuse the handshake. */
struct tls_domain *tls_store_server(const struct tls_store *s, const struct addr *local, struct view sni);
/* Any server domain, to begin a handshake with; NULL = there is none. */
struct tls_domain *tls_store_any_server(const struct tls_store *s);
/* The domain for a connect, by name or by rules; NULL = none fits. */
struct tls_domain *tls_store_client(const struct tls_store *s, const struct addr *to, struct view name, struct view sni);
/* A worker's own context of a domain; only for the worker's own thread. */
SSL_CTX           *tls_domain_ctx(struct tls_domain *d, uint16_t worker);
const struct tls_domain_conf *tls_domain_settings(const struct tls_domain *d);

struct ticket_key { unsigned char name[16], aes[32], mac[32]; };
/* The key to seal a ticket with (name NULL), or the one of that name; NULL when it is over or was never ours.  *old: still
 * good, but the ticket should be renewed.  Only for the worker's own thread. */
const struct ticket_key *tls_ticket_key(struct tls_store *s, uint16_t worker, uint64_t unix_ms, const unsigned char name[16], bool *old);

/* Facts of an established connection.  NULL without memory. */
struct tls_facts  *tls_facts_new(SSL *ssl, struct view sni);
#endif
