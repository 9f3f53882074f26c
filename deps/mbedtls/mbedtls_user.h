/* mbedtls_user.h - where we leave mbedTLS's default configuration.
 *
 * Read at the end of mbedtls_config.h because the compiler is told -DMBEDTLS_USER_CONFIG_FILE; the
 * library and every file that includes its headers must see the same. What the product relies on is
 * said here even where it is the default.
 */
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE /* TLS 1.3 needs it; pins are checked against it */
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_TICKET_C
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_GCM_C

#undef MBEDTLS_USE_PSA_CRYPTO /* TLS 1.2 would set up the key again for each record */

/* ours already: sockets, files of keys, tracing of handshakes */
#undef MBEDTLS_NET_C
#undef MBEDTLS_PSA_CRYPTO_STORAGE_C
#undef MBEDTLS_PSA_ITS_FILE_C
#undef MBEDTLS_DEBUG_C
