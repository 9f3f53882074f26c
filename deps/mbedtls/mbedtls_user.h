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
#if defined(__x86_64__)
#define MBEDTLS_GCM_ALT /* core/floor/gcm_alt.c: many blocks at a time, twenty times as fast */
#endif

#undef MBEDTLS_USE_PSA_CRYPTO /* TLS 1.2 would set up the key again for each record */

/* ours already: sockets, files of keys, tracing of handshakes */
#undef MBEDTLS_NET_C
#undef MBEDTLS_PSA_CRYPTO_STORAGE_C
#undef MBEDTLS_PSA_ITS_FILE_C
#undef MBEDTLS_DEBUG_C

/* Not spoken here: less to attack, and 2 KB less per connection. */
#undef MBEDTLS_SSL_PROTO_DTLS
#undef MBEDTLS_SSL_DTLS_ANTI_REPLAY
#undef MBEDTLS_SSL_DTLS_HELLO_VERIFY
#undef MBEDTLS_SSL_DTLS_CLIENT_PORT_REUSE
#undef MBEDTLS_SSL_DTLS_CONNECTION_ID
#undef MBEDTLS_SSL_DTLS_CONNECTION_ID_COMPAT
#undef MBEDTLS_SSL_RENEGOTIATION
#undef MBEDTLS_KEY_EXCHANGE_RSA_ENABLED /* key exchange without forward secrecy, or with our own */
#undef MBEDTLS_KEY_EXCHANGE_ECDH_ECDSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECDH_RSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_RSA_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_DHE_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECDHE_PSK_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_DHE_RSA_ENABLED
#undef MBEDTLS_KEY_EXCHANGE_ECJPAKE_ENABLED
#undef MBEDTLS_ECJPAKE_C
#undef MBEDTLS_ARIA_C /* nobody asks for them, and our GCM is AES only */
#undef MBEDTLS_CAMELLIA_C
#undef MBEDTLS_DHM_C
