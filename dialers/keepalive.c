/* dialers/keepalive.c - see the header. */
#include "dialers/keepalive.h"
#include "core/os.h"
#include "core/stream.h"

void keepalive_apply(const struct keepalive_cfg *cfg, struct stream *s)
{
    int fd;
    if (!cfg->on || stream_query(s, QUERY_FD, &fd) != RC_OK)
        return;
    os_keepalive(fd, (int)(cfg->idle_ms / 1000), (int)(cfg->interval_ms / 1000), (int)cfg->count);
}
