/* core/host/resolver.c - resolvectl dns, resolvectl revert. */
#include "core/host/resolver.h"
#include "core/host/command.h"
#include "core/host/journal.h"
#include "core/host/netlink.h"
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static char resolvectl[] = "resolvectl", dns[] = "dns", revert[] = "revert";

static enum rc run(char *const *argv, struct diag *diag)
{
    struct command c = {.argv = argv, .wait_ms = RESOLVER_WAIT_MS, .quiet = true};

    return command_run(&c, diag);
}

static enum rc undo(struct netlink *nl, const void *data, size_t n, struct diag *diag)
{
    char device[IF_NAMESIZE];
    struct diag why = {0};

    (void)nl;
    if (n != sizeof(device))
        return RC_INVALID;
    memcpy(device, data, sizeof(device));
    device[sizeof(device) - 1] = 0;
    if (if_nametoindex(device) == 0) /* the resolver forgot it together with the device */
        return RC_OK;
    char *argv[] = {resolvectl, revert, device, NULL};
    enum rc rc = run(argv, &why);
    return rc == RC_OK ? rc : diag_set(diag, rc, "resolvectl revert %s: %s", device, why.text);
}

static const struct journal_kind journal_resolver = {"resolver", undo};

enum rc resolver_set(const char *device, const struct addr *servers, size_t n, struct journal *j,
                     struct diag *diag)
{
    char ip[RESOLVER_SERVERS_MAX][ADDR_TEXT_MAX];
    char *argv[RESOLVER_SERVERS_MAX + 4] = {resolvectl, dns};
    char name[IF_NAMESIZE] = "";
    char all[160] = "";
    size_t used = 0;
    struct diag why = {0};

    if (n == 0)
        return RC_OK;
    if (n > RESOLVER_SERVERS_MAX)
        return diag_set(diag, RC_LIMIT, "dns: %zu servers, at most %d", n, RESOLVER_SERVERS_MAX);
    (void)snprintf(name, sizeof(name), "%s", device);
    argv[2] = name;
    for (size_t i = 0; i < n; i++) {
        (void)addr_format_ip(&servers[i], ip[i], sizeof(ip[i]));
        argv[3 + i] = ip[i];
        if (used < sizeof(all))
            used += (size_t)snprintf(all + used, sizeof(all) - used, " %s", ip[i]);
    }
    enum rc rc = run(argv, &why);
    if (rc != RC_OK)
        return diag_set(diag, rc, "resolvectl dns %s%s: %s", name, all, why.text);
    if (!j)
        return RC_OK;
    rc = journal_add(j, &journal_resolver, name, sizeof(name), "DNS servers of the device");
    if (rc != RC_OK) {
        (void)undo(NULL, name, sizeof(name), NULL); /* what can't be recorded must not stay */
        return diag_set(diag, rc, "journal of the DNS servers");
    }
    return RC_OK;
}
