/* tests/unit/tlscerts.h - certificates for the TLS tests, made anew in a directory under /tmp.
 *
 * After tlscerts_make() there are, each with .crt and .key: ca, otherca; signed by ca: server (name
 * example.test, address 127.0.0.1), rsa, p384 (same names), client, expired; self (self-signed).
 * Included by the tests of the tls floor.
 */
#ifndef TESTS_UNIT_TLSCERTS_H
#define TESTS_UNIT_TLSCERTS_H

#include "core/floor/tls_ctx.h"
#include <dirent.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char tlscerts_path[64];

static void must(int ret, const char *what)
{
    if (ret) {
        fprintf(stderr, "tlscerts: %s: -0x%04x\n", what, (unsigned)-ret);
        abort();
    }
}

__attribute__((unused)) static const char *tlscerts_dir(void)
{
    return tlscerts_path;
}

/* "DIR/name"; four results live at a time. */
__attribute__((unused)) static const char *tlscerts_file(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *p = paths[next++ % 4];

    snprintf(p, sizeof(paths[0]), "%s/%s", tlscerts_path, name);
    return p;
}

static void save(const char *name, const char *suffix, const void *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.%s", tlscerts_path, name, suffix);
    f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

enum kind { KIND_P256, KIND_P384, KIND_RSA };

static void make_key(mbedtls_pk_context *key, enum kind kind)
{
    mbedtls_pk_init(key);
    if (kind == KIND_RSA) {
        must(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)), "pk");
        must(mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), tls_rng, NULL, 2048, 65537), "rsa");
    } else {
        must(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)), "pk");
        must(mbedtls_ecp_gen_key(kind == KIND_P384 ? MBEDTLS_ECP_DP_SECP384R1
                                                   : MBEDTLS_ECP_DP_SECP256R1,
                                 mbedtls_pk_ec(*key), tls_rng, NULL),
             "ec");
    }
}

struct issue {
    const char *name;
    enum kind kind;
    bool is_ca, expired;
};

/* issuer NULL: self-signed. The key goes to ret_key when it is asked for. */
static void issue(const struct issue *i, const char *issuer, mbedtls_pk_context *issuer_key,
                  mbedtls_pk_context *ret_key)
{
    static unsigned char address[4] = {127, 0, 0, 1};
    mbedtls_x509_san_list ip = {.node = {.type = MBEDTLS_X509_SAN_IP_ADDRESS}};
    mbedtls_x509_san_list name = {.node = {.type = MBEDTLS_X509_SAN_DNS_NAME}, .next = &ip};
    unsigned char pem[8192], serial[2] = {1, (unsigned char)i->name[0]};
    mbedtls_x509write_cert w;
    mbedtls_pk_context key;
    char dn[64], host[] = "example.test";

    make_key(&key, i->kind);
    snprintf(dn, sizeof(dn), "CN=%s", i->name);
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&w, &key);
    mbedtls_x509write_crt_set_issuer_key(&w, issuer_key ? issuer_key : &key);
    must(mbedtls_x509write_crt_set_serial_raw(&w, serial, 2), "serial");
    must(mbedtls_x509write_crt_set_subject_name(&w, dn), "subject");
    must(mbedtls_x509write_crt_set_issuer_name(&w, issuer ? issuer : dn), "issuer");
    must(mbedtls_x509write_crt_set_validity(&w, "20200101000000",
                                            i->expired ? "20210101000000" : "20990101000000"),
         "validity");
    must(mbedtls_x509write_crt_set_basic_constraints(&w, i->is_ca, -1), "basic constraints");
    name.node.san.unstructured_name.p = (unsigned char *)host;
    name.node.san.unstructured_name.len = strlen(host);
    ip.node.san.unstructured_name.p = address;
    ip.node.san.unstructured_name.len = sizeof(address);
    must(mbedtls_x509write_crt_set_subject_alternative_name(&w, &name), "names");
    must(mbedtls_x509write_crt_pem(&w, pem, sizeof(pem), tls_rng, NULL), "write");
    save(i->name, "crt", pem);
    must(mbedtls_pk_write_key_pem(&key, pem, sizeof(pem)), "write key");
    save(i->name, "key", pem);
    mbedtls_x509write_crt_free(&w);
    if (ret_key)
        *ret_key = key;
    else
        mbedtls_pk_free(&key);
}

__attribute__((unused)) static void tlscerts_make(void)
{
    static const struct issue leaves[] = {
        {.name = "server"},
        {.name = "rsa", .kind = KIND_RSA},
        {.name = "p384", .kind = KIND_P384},
        {.name = "client"},
        {.name = "expired", .expired = true},
    };
    const struct issue ca = {.name = "ca", .is_ca = true};
    const struct issue otherca = {.name = "otherca", .is_ca = true};
    const struct issue self = {.name = "self"};
    mbedtls_pk_context ca_key;

    strcpy(tlscerts_path, "/tmp/tlscerts.XXXXXX");
    if (!mkdtemp(tlscerts_path))
        abort();
    if (tls_rng_start(NULL) != RC_OK)
        abort();
    issue(&ca, NULL, NULL, &ca_key);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        issue(&leaves[i], "CN=ca", &ca_key, NULL);
    mbedtls_pk_free(&ca_key);
    issue(&otherca, NULL, NULL, NULL);
    issue(&self, NULL, NULL, NULL);
}

static void remove_all(const char *path, int depth)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        char sub[512];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
        if (unlink(sub) != 0 && depth < 4)
            remove_all(sub, depth + 1);
    }
    if (d)
        closedir(d);
    (void)rmdir(path);
}

__attribute__((unused)) static void tlscerts_remove(void)
{
    if (tlscerts_path[0])
        remove_all(tlscerts_path, 0);
    tlscerts_path[0] = '\0';
}

#endif
