/* lws_config.h - libwebsockets 4.3.5 for Linux, frozen: ws client and server over streams of ours.
 *
 * Absent means off: no TLS, no extensions, no h2, no files, no names, no loop of its own that is
 * used. In the place of what cmake would generate; included by LWS and by who includes LWS.
 */
#define LWS_LIBRARY_VERSION_MAJOR            4
#define LWS_LIBRARY_VERSION_MINOR            3
#define LWS_LIBRARY_VERSION_PATCH            5
#define LWS_LIBRARY_VERSION_PATCH_ELABORATED 5
#define LWS_LIBRARY_VERSION_NUMBER           4003005
#define LWS_LIBRARY_VERSION                  "4.3.5"
#define LWS_BUILD_HASH                       "cgost" /* must equal the one in our lws_plugin_evlib_t */
#define LWS_INSTALL_DATADIR                  ""
#define LWS_INSTALL_LIBDIR                   ""
#define LWS_MAX_SMP                          1
#define LWS_LOGGING_BITFIELD_CLEAR           0
#define LWS_LOGGING_BITFIELD_SET             0

/* what is built */
#define LWS_PLAT_UNIX
#define LWS_NO_DAEMONIZE
#define LWS_WITH_NETWORK
#define LWS_WITH_CLIENT
#define LWS_WITH_SERVER
#define LWS_WITH_POLL
#define LWS_WITH_UNIX_SOCK /* an address "+..." is no name to resolve */
#define LWS_WITH_CUSTOM_HEADERS
#define LWS_WITHOUT_EXTENSIONS
#define LWS_ROLE_H1
#define LWS_ROLE_WS
#define LWS_ROLE_RAW

/* what the C library has */
#define LWS_HAVE_EVENTFD
#define LWS_HAVE_CLOCK_GETTIME
#define LWS_HAVE_STDINT_H
#define LWS_HAS_INTPTR_T
#define LWS_HAVE_SUSECONDS_T
#define LWS_HAVE_MALLOC_H
#define LWS_HAVE_ATOLL
#define LWS_HAVE_TIMEGM
#define LWS_HAVE_LOCALTIME_R
#define LWS_HAVE_GMTIME_R
#define LWS_HAVE_CTIME_R
#define LWS_HAVE_GETGRGID_R
#define LWS_HAVE_GETGRNAM_R
#define LWS_HAVE_GETPWUID_R
#define LWS_HAVE_GETPWNAM_R
