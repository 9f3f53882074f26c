/* core/floor/tls.h - TLS 1.2 and 1.3 as a floor (mbedTLS 3.6), both ends. wire-protocols.md section
 * 3.
 *
 * One tls_ctx per dialer or listener: shared configuration, certificates, ticket store. It is
 * refcounted: layers hold a reference, so a reload may drop its own. Secrets (keys, tickets) are
 * wiped when dropped. Handshake deadlines belong to the owner of the stream.
 */
#ifndef CORE_FLOOR_TLS_H
#define CORE_FLOOR_TLS_H

#include "core/option.h"
#include "core/stream.h"

/* The `tls:` object of a dialer (client) or listener (server), as configured; read by the tables
 * below. */
struct tls_cfg {
    char *cert_file, *key_file, *ca_file;
    bool secure;       /* client: verify chain and name */
    char *server_name; /* client: SNI and checked name; NULL: the node's host */
    char *pin;         /* ours, client: "sha256:HEX or base64" of the peer's SubjectPublicKeyInfo,
                          a comma list; with it nothing else is checked */
    char *min_version, *max_version;    /* VersionTLS12, VersionTLS13; others: warning */
    struct strlist alpn, cipher_suites; /* cipher_suites: accepted, no effect yet */
    /* generated server certificate */
    int64_t validity_ms;
    char *common_name, *organization;
    bool reject_unknown_sni;
    struct strlist server_names;
};
extern const struct option tls_client_options[]; /* keys of gost-config.md 3.13 */
extern const struct option tls_server_options[];

struct tls_ctx;

/* Reads and checks the files; a server without certificate gets one: cert.pem + key.pem of the
 * working directory, else $HOME/.gost/auto-ca-cert.pem + auto-ca-key.pem, else generated (P-256)
 * and stored there. */
enum rc tls_client_new(const struct tls_cfg *cfg, struct tls_ctx **ret_ctx, struct diag *diag);
enum rc tls_server_new(const struct tls_cfg *cfg, struct tls_ctx **ret_ctx, struct diag *diag);
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);
void tls_ctx_unref(struct tls_ctx *ctx);
bool tls_ctx_verifies(const struct tls_ctx *ctx); /* false: the operator is warned at start */
/* A sentence for the operator at start (certificate not stored, version word not known); NULL:
 * none. */
const char *tls_ctx_note(const struct tls_ctx *ctx);
/* Our own certificate as clients would pin it, "sha256:HEX"; false: there is none. */
enum { TLS_PIN_TEXT_MAX = 72 };
bool tls_ctx_pin(const struct tls_ctx *ctx, char *buf, size_t cap);
/* What a server showed in a full handshake, for those who look into it (`cgost doctor`). Strings
 * are valid during the call. */
struct tls_shown {
    const char *version;        /* "TLSv1.3" */
    char subject[160];          /* peers' text: to be quoted */
    char pin[TLS_PIN_TEXT_MAX]; /* as pin= takes it */
    char trouble[240]; /* why the system's roots and the name would not accept it; "": they would */
    int64_t days_left; /* of its certificate; negative: expired */
};
typedef void tls_shown_fn(void *arg, const struct tls_shown *shown);
/* fn is called from the loop, inside the handshake; NULL: nobody looks any more. */
void tls_ctx_watch(struct tls_ctx *ctx, tls_shown_fn *fn, void *arg);
void tls_ctx_handshakes(const struct tls_ctx *ctx, uint64_t *ret_full, uint64_t *ret_resumed);

/* name: SNI when the configuration names none (an IP literal is never sent). session_key: tickets
 * are kept per key (the node's address); NULL: none. NULL: no memory. */
struct layer *tls_client_layer(struct tls_ctx *ctx, const char *name, const char *session_key);
struct layer *tls_server_layer(struct tls_ctx *ctx);

#endif
