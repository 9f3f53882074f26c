/* lws_config_private.h - the half of lws_config.h that only LWS's own sources see. */
#define LWS_HAVE_SYS_TYPES_H
#define LWS_HAVE_SYS_SOCKET_H
#define LWS_HAVE_SYS_RESOURCE_H
#define LWS_HAVE_NETINET_IN_H
#define LWS_HAVE_UNISTD_H
#define LWS_HAVE_MALLOC
#define LWS_HAVE_GETENV
