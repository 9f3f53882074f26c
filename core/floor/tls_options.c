/* core/floor/tls_options.c - the `tls:` object of a dialer (client) or listener (server) as option
 * tables. gost-config.md 3.13. */
#include "core/floor/tls.h"

#define AT(field) offsetof(struct tls_cfg, field)

#define FILES(cert_help, ca_help)                                                                  \
    {.key = "certFile",                                                                            \
     .aliases = "cert",                                                                            \
     .type = OPTION_STRING,                                                                        \
     .offset = AT(cert_file),                                                                      \
     .help = cert_help},                                                                           \
        {.key = "keyFile",                                                                         \
         .aliases = "key",                                                                         \
         .type = OPTION_STRING,                                                                    \
         .offset = AT(key_file),                                                                   \
         .help = "private key of certFile (PEM, not encrypted)"},                                  \
    {                                                                                              \
        .key = "caFile", .aliases = "ca", .type = OPTION_STRING, .offset = AT(ca_file),            \
        .help = ca_help                                                                            \
    }

#define COMMON                                                                                     \
    {.key = "options.minVersion",                                                                  \
     .type = OPTION_STRING,                                                                        \
     .offset = AT(min_version),                                                                    \
     .help = "VersionTLS12 or VersionTLS13"},                                                      \
        {.key = "options.maxVersion",                                                              \
         .type = OPTION_STRING,                                                                    \
         .offset = AT(max_version),                                                                \
         .help = "VersionTLS12 or VersionTLS13"},                                                  \
        {.key = "options.alpn",                                                                    \
         .type = OPTION_LIST,                                                                      \
         .offset = AT(alpn),                                                                       \
         .help = "application protocols, offered or accepted"},                                    \
    {                                                                                              \
        .key = "options.cipherSuites", .type = OPTION_LIST, .flags = OPTION_LATER,                 \
        .offset = AT(cipher_suites), .help = "cipher suites of TLS 1.2"                            \
    }

const struct option tls_client_options[] = {
    {.key = "secure",
     .type = OPTION_BOOL,
     .offset = AT(secure),
     .def = "false",
     .help = "check the server's certificate and name"},
    {.key = "serverName",
     .type = OPTION_STRING,
     .offset = AT(server_name),
     .help = "name sent to the server and checked; the node's host when absent"},
    FILES("client certificate (PEM)",
          "roots to trust; without secure the chain is checked and the name is not"),
    {.key = "pin",
     .type = OPTION_STRING,
     .flags = OPTION_OURS,
     .offset = AT(pin),
     .help = "sha256:HEX or BASE64 of the server's public key; this alone then decides"},
    COMMON,
    OPTION_END,
};

const struct option tls_server_options[] = {
    FILES("server certificate (PEM); one is generated when absent",
          "clients must show a certificate of these roots"),
    {.key = "validity",
     .type = OPTION_DURATION,
     .offset = AT(validity_ms),
     .def = "8760h",
     .help = "life of the generated certificate"},
    {.key = "commonName",
     .type = OPTION_STRING,
     .offset = AT(common_name),
     .def = "gost.run",
     .help = "name in the generated certificate"},
    {.key = "organization",
     .type = OPTION_STRING,
     .offset = AT(organization),
     .def = "GOST",
     .help = "organization in the generated certificate"},
    {.key = "rejectUnknownSNI",
     .type = OPTION_BOOL,
     .offset = AT(reject_unknown_sni),
     .def = "false",
     .help = "refuse clients that name no server, or one that is not in serverNames"},
    {.key = "serverNames",
     .type = OPTION_LIST,
     .offset = AT(server_names),
     .help = "names served when rejectUnknownSNI is set; none: any name"},
    COMMON,
    OPTION_END,
};
