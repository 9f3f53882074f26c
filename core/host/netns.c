/* core/host/netns.c - setns() there and back. */
#include "core/host/netns.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int open_named(const char *name)
{
    char path[256];

    if (!strchr(name, '/')) {
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            (size_t)snprintf(path, sizeof(path), "/run/netns/%s", name) >= sizeof(path)) {
            errno = ENOENT;
            return -1;
        }
        name = path;
    }
    return open(name, O_RDONLY | O_CLOEXEC);
}

enum rc netns_enter(const char *name, struct netns_visit *ret_v, struct diag *diag)
{
    if (!name || !name[0]) {
        ret_v->home = -1;
        return RC_OK;
    }
    int there = open_named(name);
    if (there < 0)
        return diag_errno(diag, errno, "network namespace %s", name);
    /* of the thread, not of the process: /proc/self would be that of another one */
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    enum rc rc = RC_OK;
    if (home < 0)
        rc = diag_errno(diag, errno, "own network namespace");
    else if (setns(there, CLONE_NEWNET) < 0)
        rc = diag_errno(diag, errno, "enter network namespace %s", name);
    close(there);
    if (rc != RC_OK) {
        if (home >= 0)
            close(home);
        return rc;
    }
    ret_v->home = home;
    return RC_OK;
}

void netns_leave(struct netns_visit *v)
{
    if (v->home < 0)
        return;
    int lost = setns(v->home, CLONE_NEWNET);
    BUG_ON(lost < 0);
    close(v->home);
    v->home = -1;
}
