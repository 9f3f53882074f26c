/* core/floor/ws/ws_ctx.c - the one LWS context of a process, a vhost per dialer or listener,
 * and the buffers that all flows share. Contract in ws.h and ws_ctx.h.
 *
 * LWS gets no descriptor, no thread and no time: what it would want a timer for (deadlines of an
 * upgrade and of a Close, pings) is done by the layers, which end a connection themselves.
 */
#include "core/floor/ws/ws_ctx.h"

#include "core/floor/ws/lws_in.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    LWS_TIMEOUT_S = 24 * 3600, /* never reached: deadlines are ours */
    SERV_BUF_BYTES = 4096,     /* LWS reads only our own short heads with it */
    TABLES = 4,
    TABLE_BYTES = 1 << 18,
    SCRATCH_KEPT = 4,
    PING_DEFAULT_MS = 15000,
};

static struct {
    struct loop *loop;
    struct lws_context *lws;
    unsigned n_ctx;
    struct ws_scratch *scratch;
    unsigned n_scratch;
} shared;

/* ---- LWS's event loop: nothing but "I want to write" */

static int on_init(struct lws_context *cx, void *loop, int tsi)
{
    (void)cx;
    (void)loop;
    (void)tsi;
    return 0;
}

static int on_wsi(struct lws *wsi)
{
    (void)wsi;
    return 0;
}

static const struct lws_event_loop_ops event_ops = {
    .name = "cgost",
    .init_pt = on_init,
    .init_vhost_listen_wsi = on_wsi,
    .sock_accept = on_wsi,
    .io = ws_codec_on_io,
    .wsi_logical_close = on_wsi,
    .evlib_size_pt = sizeof(void *), /* 0 would mean: no timers */
};

static const lws_plugin_evlib_t event_lib = {
    .hdr = {"cgost loop", "lws_evlib_plugin", LWS_BUILD_HASH, LWS_PLUGIN_API_MAGIC},
    .ops = &event_ops,
};

struct lws_context *ws_ctx_lws(void)
{
    return shared.lws;
}

/* ---- LWS's two tables, a slot for every connection there can ever be: it writes zeros over both,
 * so that 2 MB would be resident from the first connection on. Pages of zeros go back to the
 * kernel, which makes them again when they are used. */

static struct table {
    uint8_t *p;
    size_t n;
} tables[TABLES];
static unsigned n_tables;

static void *allocate(void *old, size_t n, const char *reason)
{
    void *p;

    (void)reason;
    if (!n) {
        free(old);
        return NULL;
    }
    p = realloc(old, n);
    if (p && n >= TABLE_BYTES && n_tables < TABLES)
        tables[n_tables++] = (struct table){p, n};
    return p;
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

static void release_tables(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    for (; n_tables; n_tables--) {
        uint8_t *end = tables[n_tables - 1].p + tables[n_tables - 1].n;
        uint8_t *p = tables[n_tables - 1].p;

        for (p += (page - (uintptr_t)p % page) % page; p + page <= end; p += page)
            if (is_zero(p, page))
                (void)madvise(p, page, MADV_DONTNEED); /* refused: they stay */
    }
}

static enum rc start(struct loop *loop, struct diag *diag)
{
    void *loops[] = {&shared};
    struct lws_context_creation_info info = {
        .foreign_loops = loops,
        .event_lib_custom = &event_lib,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .pt_serv_buf_size = SERV_BUF_BYTES,
        .max_http_header_data = SERV_BUF_BYTES,
        .retry_and_idle_policy = lws_in_no_pings(),
        .timeout_secs = LWS_TIMEOUT_S,
    };

    if (shared.lws)
        return shared.loop == loop
                   ? RC_OK
                   : diag_set(diag, RC_INVALID, "ws: one loop per process, this is another one");
    lws_set_log_level(0, NULL);
    ws_codec_init();
    shared.loop = loop;
    n_tables = 0;
    lws_set_allocator(allocate);
    shared.lws = lws_create_context(&info);
    if (shared.lws)
        release_tables();
    return shared.lws ? RC_OK : diag_set(diag, RC_NOMEM, "ws: libwebsockets does not start");
}

void ws_shutdown(void)
{
    struct ws_scratch *s;

    if (!shared.lws)
        return;
    BUG_ON(shared.n_ctx);
    lws_context_destroy(shared.lws);
    shared.lws = NULL;
    shared.loop = NULL;
    while ((s = shared.scratch)) {
        shared.scratch = s->next;
        free(s);
    }
    shared.n_scratch = 0;
    ws_codec_exit();
}

/* ---- buffers */

struct ws_scratch *ws_scratch_take(void)
{
    struct ws_scratch *s = shared.scratch;

    if (!s)
        return malloc(sizeof(*s));
    shared.scratch = s->next;
    shared.n_scratch--;
    return s;
}

void ws_scratch_give(struct ws_scratch *s)
{
    if (!s)
        return;
    if (shared.n_scratch >= SCRATCH_KEPT) {
        free(s);
        return;
    }
    s->next = shared.scratch;
    shared.scratch = s;
    shared.n_scratch++;
}

/* ---- one dialer or listener */

static void ctx_free(struct ws_ctx *ctx)
{
    for (size_t i = 0; i < ctx->cfg.header.n; i++) {
        free(ctx->cfg.header.keys[i]);
        free(ctx->cfg.header.values[i]);
    }
    free(ctx->cfg.header.keys);
    free(ctx->cfg.header.values);
    free(ctx->cfg.path);
    free(ctx->cfg.host);
    free(ctx->target);
    free(ctx);
}

static bool copy_header(struct strmap *to, const struct strmap *from)
{
    *to = (struct strmap){0};
    if (!from->n)
        return true;
    to->keys = calloc(from->n, sizeof(*to->keys));
    to->values = calloc(from->n, sizeof(*to->values));
    if (!to->keys || !to->values)
        return false;
    for (; to->n < from->n; to->n++) {
        to->keys[to->n] = strdup(from->keys[to->n]);
        to->values[to->n] = strdup(from->values[to->n] ? from->values[to->n] : "");
        if (!to->keys[to->n] || !to->values[to->n]) {
            to->n++;
            return false;
        }
    }
    return true;
}

/* "ws" means "/ws", as in a URL. */
static char *copy_path(const char *path)
{
    size_t n;
    char *p;

    if (!path || !*path)
        path = "/ws";
    n = strlen(path);
    p = malloc(n + 2);
    if (p) {
        p[0] = '/';
        memcpy(p + (*path != '/'), path, n + 1);
    }
    return p;
}

static bool copy_cfg(struct ws_ctx *ctx, const struct ws_cfg *cfg)
{
    ctx->cfg = *cfg;
    ctx->cfg.host = NULL;
    ctx->cfg.path = copy_path(cfg->path);
    if (ctx->cfg.ping_ms <= 0)
        ctx->cfg.ping_ms = PING_DEFAULT_MS;
    if (!copy_header(&ctx->cfg.header, &cfg->header) || !ctx->cfg.path)
        return false;
    if (cfg->host && *cfg->host && !(ctx->cfg.host = strdup(cfg->host)))
        return false;
    if (ctx->is_client) {
        size_t cap = 3 * strlen(ctx->cfg.path) + 1;

        ctx->target = malloc(cap);
        return ctx->target && ws_head_escape_path(ctx->cfg.path, ctx->target, cap);
    }
    return true;
}

static enum rc check_cfg(const struct ws_cfg *cfg, bool is_client, struct diag *diag)
{
    if (cfg->path && strlen(cfg->path) > WS_PATH_MAX_BYTES)
        return diag_set(diag, RC_INVALID, "path: longer than %d bytes", WS_PATH_MAX_BYTES);
    if (cfg->host && (!http1_is_value(slice_of(cfg->host)) || strlen(cfg->host) > 512))
        return diag_set(diag, RC_INVALID, "host: can't stand in an HTTP head");
    return ws_head_check_extra(&cfg->header, is_client, diag);
}

static enum rc ctx_new(struct loop *loop, const struct ws_cfg *cfg, bool is_client,
                       struct ws_ctx **ret_ctx, struct diag *diag)
{
    struct lws_context_creation_info info = {
        .protocols = ws_codec_protocols(),
        .vhost_name = "ws",
        .port = is_client ? CONTEXT_PORT_NO_LISTEN : CONTEXT_PORT_NO_LISTEN_SERVER,
        .retry_and_idle_policy = lws_in_no_pings(),
        .timeout_secs = LWS_TIMEOUT_S,
    };
    struct ws_ctx *ctx;
    enum rc rc = check_cfg(cfg, is_client, diag);

    if (rc == RC_OK)
        rc = start(loop, diag);
    if (rc != RC_OK)
        return rc;
    ctx = calloc(1, sizeof(*ctx));
    if (!ctx)
        return diag_set(diag, RC_NOMEM, "ws: no memory");
    ctx->refs = 1;
    ctx->is_client = is_client;
    ctx->loop = loop;
    if (!copy_cfg(ctx, cfg) || !(ctx->vhost = lws_create_vhost(shared.lws, &info))) {
        ctx_free(ctx);
        return diag_set(diag, RC_NOMEM, "ws: no memory");
    }
    shared.n_ctx++;
    (void)lws_service_adjust_timeout(shared.lws, 0, 0); /* here LWS initialises its protocols */
    *ret_ctx = ctx;
    return RC_OK;
}

enum rc ws_client_new(struct loop *loop, const struct ws_cfg *cfg, struct ws_ctx **ret_ctx,
                      struct diag *diag)
{
    return ctx_new(loop, cfg, true, ret_ctx, diag);
}

enum rc ws_server_new(struct loop *loop, const struct ws_cfg *cfg, struct ws_ctx **ret_ctx,
                      struct diag *diag)
{
    return ctx_new(loop, cfg, false, ret_ctx, diag);
}

struct ws_ctx *ws_ctx_ref(struct ws_ctx *ctx)
{
    ctx->refs++;
    return ctx;
}

void ws_ctx_unref(struct ws_ctx *ctx)
{
    if (!ctx || --ctx->refs)
        return;
    lws_vhost_destroy(ctx->vhost); /* no connection is bound to it: layers hold a reference */
    shared.n_ctx--;
    ctx_free(ctx);
}
