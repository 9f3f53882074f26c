/* tests/unit/tlscase.h - what the tests of the tls floor share: contexts, an exchange that must
 * work and one that must not.
 */
#ifndef TESTS_UNIT_TLSCASE_H
#define TESTS_UNIT_TLSCASE_H

#include "core/floor/tls_buf.h"
#include "core/floor/tls_ctx.h"
#include "run.h"
#include "tlscerts.h"
#include "tlspair.h"
#include <check.h>

#define client tlspair_client
#define server tlspair_server

static struct tls_ctx *cctx, *sctx;

__attribute__((unused)) static struct tls_cfg server_cfg(const char *name)
{
    struct tls_cfg cfg = {.secure = false};
    char file[64];

    snprintf(file, sizeof(file), "%s.crt", name);
    cfg.cert_file = strdup(tlscerts_file(file));
    snprintf(file, sizeof(file), "%s.key", name);
    cfg.key_file = strdup(tlscerts_file(file));
    return cfg;
}

__attribute__((unused)) static void cfg_done(struct tls_cfg *cfg)
{
    free(cfg->cert_file);
    free(cfg->key_file);
}

__attribute__((unused)) static struct tls_ctx *make_server(const char *cert, struct tls_cfg *more)
{
    struct tls_cfg cfg = server_cfg(cert), all = more ? *more : cfg;
    struct diag diag = {.rc = RC_OK};
    struct tls_ctx *c = NULL;

    all.cert_file = cfg.cert_file;
    all.key_file = cfg.key_file;
    ck_assert_msg(tls_server_new(&all, &c, &diag) == RC_OK, "%s", diag.text);
    cfg_done(&cfg);
    return c;
}

__attribute__((unused)) static struct tls_ctx *make_client(const struct tls_cfg *cfg)
{
    static const struct tls_cfg nothing;
    struct diag diag = {.rc = RC_OK};
    struct tls_ctx *c = NULL;

    ck_assert_msg(tls_client_new(cfg ? cfg : &nothing, &c, &diag) == RC_OK, "%s", diag.text);
    return c;
}

__attribute__((unused)) static void drop(void)
{
    tls_ctx_unref(cctx);
    tls_ctx_unref(sctx);
    cctx = sctx = NULL;
}

static void teardown(void)
{
    tlspair_teardown();
    drop();
    tls_buf_trim();
}

__attribute__((unused)) static const char *const versions[] = {"VersionTLS12", "versiontls13"};

/* Both ends send n bytes and half-close; everything must arrive. */
__attribute__((unused)) static void exchange(size_t n, const struct mem_cfg *mc, const char *name,
                                             const char *key)
{
    tlspair_join(cctx, sctx, name, key, mc);
    client.to_send = server.to_send = n;
    tlspair_run();
    ck_assert_msg(!client.failed && !server.failed, "client: %s, server: %s", client.diag.text,
                  server.diag.text);
    ck_assert_uint_eq(client.received, n);
    ck_assert_uint_eq(server.received, n);
    ck_assert(client.eof && server.eof);
}

/* The handshake must fail; client_says and server_says are parts of the reasons (NULL: any). */
__attribute__((unused)) static void refused(const char *name, enum rc rc, const char *client_says,
                                            const char *server_says)
{
    tlspair_join(cctx, sctx, name, NULL, NULL);
    tlspair_run();
    ck_assert(client.failed);
    ck_assert_msg(client.diag.rc == rc, "%s: %s", rc_name(client.diag.rc), client.diag.text);
    if (client_says)
        ck_assert_msg(strstr(client.diag.text, client_says) != NULL, "client: %s",
                      client.diag.text);
    if (server_says)
        ck_assert_msg(strstr(server.diag.text, server_says) != NULL, "server: %s",
                      server.diag.text);
    ck_assert_uint_eq(server.received, 0);
}

__attribute__((unused)) static int run_cases(const char *name, void (*add)(TCase *))
{
    Suite *suite = suite_create(name);
    TCase *c = tcase_create(name);

    tcase_add_unchecked_fixture(c, tlscerts_make, tlscerts_remove);
    tcase_add_checked_fixture(c, tlspair_setup, teardown);
    tcase_set_timeout(c, 30);
    add(c);
    suite_add_tcase(suite, c);
    return run_suite(suite);
}

#endif
