/* core/floor/tls_cert.c - certificates and keys from files, the generated default one, the roots of
 * the system. Contract in tls_cert.h.
 */
#include "core/floor/tls_cert.h"
#include "core/floor/tls_ctx.h"
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PEM_MAX = 4096, YEAR_S = 365 * 24 * 3600 };

#define AUTO_CERT "auto-ca-cert.pem"
#define AUTO_KEY  "auto-ca-key.pem"

void tls_cert_init(struct tls_cert *c)
{
    mbedtls_x509_crt_init(&c->chain);
    mbedtls_pk_init(&c->key);
}

void tls_cert_done(struct tls_cert *c)
{
    mbedtls_x509_crt_free(&c->chain);
    mbedtls_pk_free(&c->key);
}

void tls_cert_pin(const mbedtls_x509_crt *crt, uint8_t ret_pin[static 32])
{
    /* fails only where the hash is in hardware */
    (void)mbedtls_sha256(crt->pk_raw.p, crt->pk_raw.len, ret_pin, 0);
}

/* ---------------------------------------------------------------- from files */

static enum rc fail_file(struct diag *diag, const char *what, const char *file, int ret, int err)
{
    const char *words = mbedtls_high_level_strerr(ret);

    if (ret == MBEDTLS_ERR_PK_FILE_IO_ERROR || ret == MBEDTLS_ERR_X509_FILE_IO_ERROR)
        return diag_set(diag, RC_INVALID, "%s %s: %s", what, file,
                        err ? strerror(err) : "cannot be read");
    if (ret == MBEDTLS_ERR_PK_PASSWORD_REQUIRED)
        return diag_set(diag, RC_INVALID, "%s %s: is encrypted, a plain one is needed", what, file);
    return diag_set(diag, RC_INVALID, "%s %s: %s", what, file, words ? words : "not understood");
}

enum rc tls_cert_load(struct tls_cert *c, const char *cert_file, const char *key_file,
                      struct diag *diag)
{
    int ret;

    errno = 0;
    ret = mbedtls_x509_crt_parse_file(&c->chain, cert_file);
    if (ret < 0)
        return fail_file(diag, "certificate", cert_file, ret, errno);
    if (ret > 0)
        return diag_set(diag, RC_INVALID, "certificate %s: %d of its certificates not understood",
                        cert_file, ret);
    errno = 0;
    ret = mbedtls_pk_parse_keyfile(&c->key, key_file, NULL, tls_rng, NULL);
    if (ret)
        return fail_file(diag, "key", key_file, ret, errno);
    if (mbedtls_pk_check_pair(&c->chain.pk, &c->key, tls_rng, NULL))
        return diag_set(diag, RC_INVALID, "key %s does not belong to certificate %s", key_file,
                        cert_file);
    return RC_OK;
}

enum rc tls_cert_load_ca(mbedtls_x509_crt *ca, const char *file, struct diag *diag)
{
    int ret;

    errno = 0;
    ret = mbedtls_x509_crt_parse_file(ca, file); /* > 0: so many of a bundle not understood */
    if (ret < 0)
        return fail_file(diag, "caFile", file, ret, errno);
    return ca->raw.p ? RC_OK : diag_set(diag, RC_INVALID, "caFile %s: no certificate in it", file);
}

/* ---------------------------------------------------------------- the system's roots */

static mbedtls_x509_crt roots;
static unsigned roots_refs;

enum rc tls_roots_ref(mbedtls_x509_crt **ret_roots, struct diag *diag)
{
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem", /* openSUSE */
        "/etc/ssl/cert.pem",      /* OpenWrt, BSDs */
    };
    const char *asked = getenv("SSL_CERT_FILE");

    if (roots_refs == 0) {
        mbedtls_x509_crt_init(&roots);
        if (asked && *asked)
            (void)mbedtls_x509_crt_parse_file(&roots, asked);
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && !roots.raw.p; i++)
            (void)mbedtls_x509_crt_parse_file(&roots, places[i]);
    }
    if (!roots.raw.p) {
        mbedtls_x509_crt_free(&roots);
        return diag_set(diag, RC_INVALID,
                        "secure=true, but this machine has no root certificates: install "
                        "ca-certificates, or use caFile or pin=");
    }
    roots_refs++;
    *ret_roots = &roots;
    return RC_OK;
}

void tls_roots_unref(void)
{
    if (--roots_refs == 0)
        mbedtls_x509_crt_free(&roots);
}

/* ---------------------------------------------------------------- generated */

static bool is_plain(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr(" .-_*@", c));
}

/* An attribute value for mbedTLS's name parser; everything it could misread goes as hex. */
static bool append_value(char *dn, size_t cap, const char *key, const char *value)
{
    size_t at = strlen(dn);

    at += (size_t)snprintf(dn + at, cap - at, "%s%s=", at ? "," : "", key);
    for (; *value; value++) {
        if (at + 4 > cap)
            return false;
        if (is_plain((unsigned char)*value))
            dn[at++] = *value;
        else
            at += (size_t)snprintf(dn + at, cap - at, "\\%02X", (unsigned)(unsigned char)*value);
        dn[at] = '\0';
    }
    return true;
}

static void format_time(time_t t, char text[static 16])
{
    struct tm tm;
    static const char end_of_time[] = "99991231235959";

    if (gmtime_r(&t, &tm) && tm.tm_year + 1900 <= 9999)
        (void)strftime(text, 16, "%Y%m%d%H%M%S", &tm);
    else
        memcpy(text, end_of_time, sizeof(end_of_time));
}

static int fill(mbedtls_x509write_cert *w, mbedtls_pk_context *key,
                const struct tls_cert_subject *subject)
{
    mbedtls_asn1_sequence client_auth = {
        .buf = {.tag = MBEDTLS_ASN1_OID,
                .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH),
                .p = (unsigned char *)(uintptr_t)MBEDTLS_OID_CLIENT_AUTH}};
    mbedtls_asn1_sequence server_auth = {
        .buf = {.tag = MBEDTLS_ASN1_OID,
                .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH),
                .p = (unsigned char *)(uintptr_t)MBEDTLS_OID_SERVER_AUTH},
        .next = &client_auth};
    const char *cn = subject->common_name ? subject->common_name : "gost.run";
    const char *org = subject->organization ? subject->organization : "GOST";
    mbedtls_x509_san_list san = {.node = {.type = MBEDTLS_X509_SAN_DNS_NAME}};
    int64_t life_s = subject->validity_ms > 0 ? subject->validity_ms / 1000 : YEAR_S;
    time_t now = time(NULL);
    unsigned char serial[16];
    char from[16], to[16], dn[256] = "";
    int ret;

    if (!append_value(dn, sizeof(dn), "O", org) || !append_value(dn, sizeof(dn), "CN", cn))
        return MBEDTLS_ERR_X509_INVALID_NAME;
    san.node.san.unstructured_name.tag = MBEDTLS_X509_SAN_DNS_NAME;
    san.node.san.unstructured_name.len = strlen(cn);
    san.node.san.unstructured_name.p = (unsigned char *)(uintptr_t)cn;
    format_time(now - 3600, from); /* the peer's clock may be slow */
    format_time(now + (life_s < 10000L * YEAR_S ? life_s : 10000L * YEAR_S), to);
    ret = tls_rng(NULL, serial, sizeof(serial));
    if (ret)
        return ret;
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, fixed length */

    mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(w, key);
    mbedtls_x509write_crt_set_issuer_key(w, key);
    if ((ret = mbedtls_x509write_crt_set_serial_raw(w, serial, sizeof(serial))) != 0 ||
        (ret = mbedtls_x509write_crt_set_subject_name(w, dn)) != 0 ||
        (ret = mbedtls_x509write_crt_set_issuer_name(w, dn)) != 0 ||
        (ret = mbedtls_x509write_crt_set_validity(w, from, to)) != 0 ||
        (ret = mbedtls_x509write_crt_set_basic_constraints(w, 1, -1)) != 0 ||
        (ret = mbedtls_x509write_crt_set_key_usage(w, MBEDTLS_X509_KU_DIGITAL_SIGNATURE |
                                                          MBEDTLS_X509_KU_KEY_CERT_SIGN)) != 0 ||
        (ret = mbedtls_x509write_crt_set_ext_key_usage(w, &server_auth)) != 0 ||
        (ret = mbedtls_x509write_crt_set_subject_key_identifier(w)) != 0)
        return ret;
    return mbedtls_x509write_crt_set_subject_alternative_name(w, &san);
}

/* A self-signed certificate for c->key (made when there is none yet) into c->chain and pem. */
static int generate(struct tls_cert *c, const struct tls_cert_subject *subject,
                    unsigned char pem[static PEM_MAX])
{
    mbedtls_x509write_cert w;
    int ret = 0;

    mbedtls_x509write_crt_init(&w);
    if (mbedtls_pk_get_type(&c->key) == MBEDTLS_PK_NONE) {
        ret = mbedtls_pk_setup(&c->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
        if (!ret)
            ret =
                mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(c->key), tls_rng, NULL);
    }
    if (!ret)
        ret = fill(&w, &c->key, subject);
    if (!ret)
        ret = mbedtls_x509write_crt_pem(&w, pem, PEM_MAX, tls_rng, NULL);
    if (!ret) {
        mbedtls_x509_crt_free(&c->chain);
        mbedtls_x509_crt_init(&c->chain);
        ret = mbedtls_x509_crt_parse(&c->chain, pem, strlen((char *)pem) + 1);
    }
    mbedtls_x509write_crt_free(&w);
    return ret;
}

/* ---------------------------------------------------------------- stored */

/* All or nothing: a reader sees the old file or the new one. Returns an errno. */
static int store_file(int dir, const char *name, const unsigned char *text, mode_t mode)
{
    char temporary[64];
    size_t n = strlen((const char *)text), done = 0;
    int fd, err = 0;

    snprintf(temporary, sizeof(temporary), ".%s.%ld", name, (long)getpid());
    fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return errno;
    while (done < n && !err) {
        ssize_t k = write(fd, text + done, n - done);

        if (k > 0)
            done += (size_t)k;
        else if (k < 0 && errno != EINTR)
            err = errno;
    }
    if (!err && fsync(fd) != 0)
        err = errno;
    if (close(fd) != 0 && !err)
        err = errno;
    if (!err && renameat(dir, temporary, dir, name) != 0)
        err = errno;
    if (err)
        (void)unlinkat(dir, temporary, 0);
    return err;
}

static int store(int dir, const struct tls_cert *c, const unsigned char *cert_pem)
{
    unsigned char key_pem[PEM_MAX];
    int err = EINVAL;

    if (mbedtls_pk_write_key_pem(&c->key, key_pem, sizeof(key_pem)) == 0)
        err = store_file(dir, AUTO_KEY, key_pem, 0600);
    mbedtls_platform_zeroize(key_pem, sizeof(key_pem));
    return err ? err : store_file(dir, AUTO_CERT, cert_pem, 0644);
}

/* $HOME/.gost, made when missing and locked against a second process that does the same now (it
 * then keeps its own certificate in memory). -1 with errno. */
static int open_store(char *path, size_t cap)
{
    const char *home = getenv("HOME");
    int dir;

    if (!home || !*home || (size_t)snprintf(path, cap, "%s/.gost", home) >= cap) {
        errno = ENOENT;
        return -1;
    }
    (void)mkdir(path, 0700);
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0 && flock(dir, LOCK_EX | LOCK_NB) != 0) {
        int err = errno;

        close(dir);
        errno = err;
        return -1;
    }
    return dir;
}

static bool load_stored(struct tls_cert *c, const char *path)
{
    char cert[512], key[512];

    if ((size_t)snprintf(cert, sizeof(cert), "%s/" AUTO_CERT, path) >= sizeof(cert) ||
        (size_t)snprintf(key, sizeof(key), "%s/" AUTO_KEY, path) >= sizeof(key))
        return false;
    if (tls_cert_load(c, cert, key, NULL) == RC_OK)
        return true;
    tls_cert_done(c);
    tls_cert_init(c);
    return false;
}

enum rc tls_cert_default(struct tls_cert *c, const struct tls_cert_subject *subject, char *note,
                         size_t cap, struct diag *diag)
{
    struct diag why = {.rc = RC_OK};
    unsigned char pem[PEM_MAX];
    char path[480] = "";
    int dir, err = 0, ret;

    if (access("cert.pem", F_OK) == 0 && access("key.pem", F_OK) == 0) {
        if (tls_cert_load(c, "cert.pem", "key.pem", &why) == RC_OK)
            return RC_OK;
        tls_cert_done(c);
        tls_cert_init(c);
        snprintf(note, cap, "%s: a generated certificate is used", why.text);
    }
    dir = open_store(path, sizeof(path));
    err = errno;
    if (path[0] && load_stored(c, path) && !mbedtls_x509_time_is_past(&c->chain.valid_to)) {
        if (dir >= 0)
            close(dir);
        return RC_OK;
    }
    /* an expired one keeps its key: who pinned it need not care */
    ret = generate(c, subject, pem);
    if (ret) {
        if (dir >= 0)
            close(dir);
        return diag_set(diag, ret == MBEDTLS_ERR_X509_INVALID_NAME ? RC_INVALID : RC_NOMEM,
                        "no certificate could be generated (-0x%04x)", (unsigned)-ret);
    }
    if (dir >= 0) {
        err = store(dir, c, pem);
        close(dir);
    } else if (err == 0) {
        err = EIO;
    }
    if (err && !*note)
        snprintf(note, cap,
                 "the generated certificate is not stored (%s: %s): a restart makes another",
                 path[0] ? path : "$HOME is not set", strerror(err));
    return RC_OK;
}
