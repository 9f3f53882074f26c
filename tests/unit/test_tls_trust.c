/* TLS as a floor: who is trusted, what both ends say about it, and wrong configuration. */
#include "tlscase.h"
#include <sys/stat.h>

/* ---------------------------------------------------------------- trust */

static char *ca(const char *file)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s", tlscerts_file(file));
    return path;
}

START_TEST(test_insecure_takes_any_certificate)
{
    cctx = make_client(NULL);
    ck_assert(!tls_ctx_verifies(cctx));
    sctx = make_server("expired", NULL);
    exchange(10, NULL, "whatever", NULL);
}
END_TEST

START_TEST(test_secure_checks_chain_and_name)
{
    struct tls_cfg cfg = {
        .secure = true, .ca_file = ca("ca.crt"), .max_version = (char *)(uintptr_t)versions[_i]};

    cctx = make_client(&cfg);
    ck_assert(tls_ctx_verifies(cctx));
    sctx = make_server("server", NULL);
    exchange(10, NULL, "example.test", NULL);
    exchange(10, NULL, "EXAMPLE.test.", NULL);
    exchange(10, NULL, "127.0.0.1", NULL);
    refused("other.test", RC_CERT, "certificate does not match name other.test; it is that of",
            "peer sent alert bad_certificate");
    refused("127.0.0.2", RC_CERT, "certificate does not match name 127.0.0.2", NULL);
    refused("::1", RC_CERT, "certificate does not match name ::1", NULL);
    refused("", RC_CERT, "certificate does not match name", NULL);
    tls_ctx_unref(sctx);
    sctx = make_server("self", NULL);
    refused("example.test", RC_CERT, "certificate is self-signed: use pin=, caFile or secure=false",
            "peer sent alert unknown_ca");
    tls_ctx_unref(sctx);
    sctx = make_server("expired", NULL);
    refused("example.test", RC_CERT,
            "certificate expired on 2021-01-01: the server needs a new one", NULL);
    drop();
    cfg.ca_file = ca("otherca.crt");
    cctx = make_client(&cfg);
    sctx = make_server("server", NULL);
    refused("example.test", RC_CERT, "certificate is signed by \"ca\", which is not trusted", NULL);
    drop();
    cfg.server_name = (char *)(uintptr_t) "example.test"; /* goes before the node's host */
    cfg.ca_file = ca("ca.crt");
    cctx = make_client(&cfg);
    sctx = make_server("server", NULL);
    exchange(10, NULL, "10.0.0.1", NULL);
}
END_TEST

START_TEST(test_ca_without_secure_checks_chain_only)
{
    struct tls_cfg cfg = {.ca_file = ca("ca.crt")};

    cctx = make_client(&cfg);
    ck_assert(tls_ctx_verifies(cctx));
    sctx = make_server("server", NULL);
    exchange(10, NULL, "other.test", NULL);
    exchange(10, NULL, "10.9.8.7", NULL);
    tls_ctx_unref(sctx);
    sctx = make_server("self", NULL);
    refused("example.test", RC_CERT, "self-signed", NULL);
}
END_TEST

START_TEST(test_secure_without_ca_uses_system_roots)
{
    struct tls_cfg cfg = {.secure = true};

    setenv("SSL_CERT_FILE", tlscerts_file("ca.crt"), 1);
    cctx = make_client(&cfg);
    sctx = make_server("server", NULL);
    exchange(10, NULL, "example.test", NULL);
    tls_ctx_unref(sctx);
    sctx = make_server("self", NULL);
    refused("example.test", RC_CERT, "self-signed", NULL);
}
END_TEST

/* The digest as hex and as base64. */
static void digest_of(const struct tls_ctx *c, char hex[static TLS_PIN_TEXT_MAX], char *b64)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t pin[33] = {0};

    ck_assert(tls_ctx_pin(c, hex, TLS_PIN_TEXT_MAX));
    tls_cert_pin(&c->cert.chain, pin);
    for (size_t i = 0; i < 33; i += 3) {
        uint32_t w = (uint32_t)pin[i] << 16 | (uint32_t)pin[i + 1] << 8 | pin[i + 2];

        for (int k = 18; k >= 0; k -= 6)
            *b64++ = alphabet[w >> k & 63];
    }
    strcpy(b64 - 1, "=");
}

START_TEST(test_pin_alone_decides)
{
    char hex[TLS_PIN_TEXT_MAX], b64[64], two[256], upper[80];
    struct tls_cfg cfg = {.secure = true, .max_version = (char *)(uintptr_t)versions[_i]};

    sctx = make_server("self", NULL);
    digest_of(sctx, hex, b64);
    for (size_t i = 0; i <= strlen(hex + 7); i++)
        upper[i] = hex[7 + i] >= 'a' ? (char)(hex[7 + i] - 32) : hex[7 + i];
    snprintf(two, sizeof(two), "sha256:%064d,sha256:%s", 0, b64);
    for (int i = 0; i < 4; i++) {
        cfg.pin = (char *[]){hex, b64, two, upper}[i];
        cctx = make_client(&cfg);
        exchange(10, NULL, "any.name", NULL);
        tls_ctx_unref(cctx);
    }
    hex[20] = hex[20] == '0' ? '1' : '0';
    cfg.pin = hex;
    cctx = make_client(&cfg);
    refused("any.name", RC_CERT, "certificate has another key than the pin= one",
            "peer sent alert");
}
END_TEST

START_TEST(test_client_certificates)
{
    struct tls_cfg s = {.ca_file = ca("ca.crt")}, c;
    struct diag diag = {.rc = RC_OK};

    sctx = make_server("server", &s);
    c = server_cfg("client");
    c.max_version = (char *)(uintptr_t)versions[_i];
    cctx = make_client(&c);
    exchange(1000, NULL, "example.test", NULL);
    cfg_done(&c);
    tls_ctx_unref(cctx);

    c = (struct tls_cfg){.max_version = (char *)(uintptr_t)versions[_i]};
    cctx = make_client(&c);
    refused("example.test", RC_CERT,
            _i ? "peer sent alert certificate_required: set cert= and key="
               : "peer sent alert bad_certificate",
            "client sent no certificate");
    tls_ctx_unref(cctx);

    c = server_cfg("self");
    c.max_version = (char *)(uintptr_t)versions[_i];
    cctx = make_client(&c);
    refused("example.test", RC_CERT, "peer sent alert unknown_ca",
            "certificate is self-signed and not in caFile");
    cfg_done(&c);
    (void)diag;
}
END_TEST

START_TEST(test_rejects_unknown_names)
{
    char *names[] = {(char *)(uintptr_t) "one.test", (char *)(uintptr_t) "two.test"};
    struct tls_cfg s = {.reject_unknown_sni = true, .server_names = {.v = names, .n = 2}};
    struct tls_cfg c = {.max_version = (char *)(uintptr_t)versions[_i]};

    sctx = make_server("server", &s);
    cctx = make_client(&c);
    exchange(10, NULL, "Two.test", NULL);
    refused("three.test", RC_DENIED, "peer sent alert unrecognized_name", "not served here");
    refused("127.0.0.1", RC_DENIED, "peer sent alert unrecognized_name", NULL);
    tls_ctx_unref(sctx);
    s.server_names.n = 0;
    sctx = make_server("server", &s);
    exchange(10, NULL, "three.test", NULL);
    refused("127.0.0.1", RC_DENIED, "peer sent alert unrecognized_name", NULL);
}
END_TEST

START_TEST(test_alpn)
{
    char *h2[] = {(char *)(uintptr_t) "h2", (char *)(uintptr_t) "http/1.1"};
    struct tls_cfg s = {.alpn = {.v = h2 + 1, .n = 1}}, c = {.alpn = {.v = h2, .n = 2}};
    const char *got = "?";
    bool secure = false;

    sctx = make_server("server", &s);
    cctx = make_client(&c);
    tlspair_join(cctx, sctx, "example.test", NULL, NULL);
    client.keep_open = server.keep_open = true;
    tlspair_run_ms(50);
    ck_assert(client.open && server.open);
    ck_assert_int_eq(stream_query(client.s, QUERY_ALPN, &got), RC_OK);
    ck_assert_str_eq(got, "http/1.1");
    ck_assert_int_eq(stream_query(client.s, QUERY_SECURE, &secure), RC_OK);
    ck_assert(secure);
    drop();
    c.alpn.n = 1;
    sctx = make_server("server", &s);
    cctx = make_client(&c);
    refused("example.test", RC_PROTO, "peer sent alert no_application_protocol", "ALPN");
    tls_ctx_unref(sctx);
    sctx = make_server("server", NULL); /* a server without a list ignores the offer */
    exchange(10, NULL, "example.test", NULL);
}
END_TEST

START_TEST(test_version_not_in_common)
{
    struct tls_cfg s = {.min_version = (char *)(uintptr_t) "VersionTLS13"};
    struct tls_cfg c = {.max_version = (char *)(uintptr_t) "VersionTLS12"};

    sctx = make_server("server", &s);
    cctx = make_client(&c);
    refused("example.test", RC_PROTO, "peer sent alert protocol_version", "version");
}
END_TEST

/* ---------------------------------------------------------------- configuration */

static void wrong(bool is_server, const struct tls_cfg *cfg, const char *says)
{
    struct diag diag = {.rc = RC_OK};
    struct tls_ctx *c = NULL;
    enum rc rc = is_server ? tls_server_new(cfg, &c, &diag) : tls_client_new(cfg, &c, &diag);

    ck_assert_int_eq(rc, RC_INVALID);
    ck_assert_ptr_null(c);
    ck_assert_msg(strstr(diag.text, says) != NULL, "%s", diag.text);
}

START_TEST(test_wrong_configuration_says_what)
{
    struct tls_cfg cfg = server_cfg("server"), other = server_cfg("client");
    char *key = cfg.key_file;

    for (int is_server = 0; is_server < 2; is_server++) {
        cfg.key_file = other.key_file;
        wrong(is_server, &cfg, "does not belong to certificate");
        cfg.key_file = NULL;
        wrong(is_server, &cfg, "certFile without keyFile");
        cfg.key_file = (char *)(uintptr_t) "/nonexistent/key";
        wrong(is_server, &cfg, "key /nonexistent/key: No such file or directory");
        cfg.key_file = cfg.cert_file;
        wrong(is_server, &cfg, "key ");
        wrong(is_server, &(struct tls_cfg){.cert_file = key, .key_file = key}, "certificate ");
        cfg.key_file = key;
        cfg.ca_file = key;
        wrong(is_server, &cfg, "caFile ");
        cfg.ca_file = NULL;
        wrong(is_server,
              &(struct tls_cfg){.cert_file = cfg.cert_file,
                                .key_file = key,
                                .min_version = (char *)(uintptr_t) "VersionTLS13",
                                .max_version = (char *)(uintptr_t) "VersionTLS12"},
              "above");
    }
    wrong(false, &(struct tls_cfg){.pin = (char *)(uintptr_t) "sha256:abcd"}, "pin: want");
    wrong(false, &(struct tls_cfg){.pin = (char *)(uintptr_t) "md5"}, "pin: want");
    cctx = make_client(&(struct tls_cfg){.min_version = (char *)(uintptr_t) "VersionTLS10",
                                         .max_version = (char *)(uintptr_t) "TLS1.3"});
    ck_assert_str_eq(tls_ctx_note(cctx),
                     "options.minVersion VersionTLS10: TLS before 1.2 is not spoken here; "
                     "options.maxVersion 'TLS1.3' is not one of VersionTLS12, VersionTLS13");
    cfg.key_file = key;
    cfg_done(&cfg);
    cfg_done(&other);
}
END_TEST

static void copy_file(const char *from, const char *to)
{
    char buf[8192];
    FILE *f = fopen(from, "r"), *t = fopen(to, "w");
    size_t n = fread(buf, 1, sizeof(buf), f);

    ck_assert_uint_eq(fwrite(buf, 1, n, t), n);
    fclose(f);
    fclose(t);
}

START_TEST(test_default_certificate)
{
    struct tls_cfg cfg = {.common_name = (char *)(uintptr_t) "my, \"name\"",
                          .organization = (char *)(uintptr_t) "#1=x+y"};
    char first[TLS_PIN_TEXT_MAX], pin[TLS_PIN_TEXT_MAX], path[256], home[128];
    struct stat st;
    FILE *f;

    ck_assert_int_eq(chdir(tlscerts_dir()), 0);
    snprintf(home, sizeof(home), "%s", tlscerts_file("home"));
    ck_assert_int_eq(mkdir(home, 0700), 0);
    setenv("HOME", home, 1);
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK); /* made and stored */
    ck_assert_ptr_null(tls_ctx_note(sctx));
    ck_assert(tls_ctx_pin(sctx, first, sizeof(first)));
    snprintf(path, sizeof(path), "%s/.gost/auto-ca-key.pem", home);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    cctx = make_client(&(struct tls_cfg){.pin = first});
    exchange(100, NULL, "x", NULL);
    drop();

    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK); /* found again */
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_eq(pin, first);
    drop();

    copy_file(tlscerts_file("client.key"), path); /* no longer a pair */
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_ne(pin, first);
    drop();

    copy_file(tlscerts_file("expired.key"), path); /* too old: a new one for the same key */
    snprintf(path, sizeof(path), "%s/.gost/auto-ca-cert.pem", home);
    copy_file(tlscerts_file("expired.crt"), path);
    sctx = make_server("expired", NULL);
    ck_assert(tls_ctx_pin(sctx, first, sizeof(first)));
    drop();
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_eq(pin, first);
    ck_assert(!mbedtls_x509_time_is_past(&sctx->cert.chain.valid_to));
    drop();

    snprintf(path, sizeof(path), "%s/.gost", home); /* nowhere to store */
    setenv("HOME", tlscerts_file("nowhere"), 1);
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(tls_ctx_note(sctx), "is not stored"));
    drop();
    unsetenv("HOME");
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(tls_ctx_note(sctx), "$HOME is not set"));
    drop();

    copy_file(tlscerts_file("server.crt"), "cert.pem"); /* the working directory goes first */
    copy_file(tlscerts_file("server.key"), "key.pem");
    sctx = make_server("server", NULL);
    ck_assert(tls_ctx_pin(sctx, first, sizeof(first)));
    drop();
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert(tls_ctx_pin(sctx, pin, sizeof(pin)));
    ck_assert_str_eq(pin, first);
    ck_assert_ptr_null(tls_ctx_note(sctx));
    drop();
    f = fopen("key.pem", "w");
    fclose(f);
    ck_assert_int_eq(tls_server_new(&cfg, &sctx, NULL), RC_OK);
    ck_assert_ptr_nonnull(strstr(tls_ctx_note(sctx), "key key.pem"));
    unlink("cert.pem");
    unlink("key.pem");
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, test_version_not_in_common);
    tcase_add_test(c, test_insecure_takes_any_certificate);
    tcase_add_loop_test(c, test_secure_checks_chain_and_name, 0, 2);
    tcase_add_test(c, test_ca_without_secure_checks_chain_only);
    tcase_add_test(c, test_secure_without_ca_uses_system_roots);
    tcase_add_loop_test(c, test_pin_alone_decides, 0, 2);
    tcase_add_loop_test(c, test_client_certificates, 0, 2);
    tcase_add_loop_test(c, test_rejects_unknown_names, 0, 2);
    tcase_add_test(c, test_alpn);
    tcase_add_test(c, test_wrong_configuration_says_what);
    tcase_add_test(c, test_default_certificate);
}

int main(void)
{
    return run_cases("tls_trust", add);
}
