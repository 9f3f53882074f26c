/* listeners/tungo/netassert.c - what happens when an assertion of lwIP fails (deps/lwip/arch/cc.h).
 *
 * lwIP's assertions are its own invariants; the gate and feed() keep away every packet that is
 * known to break one. For a packet that is not known yet there are three ways:
 *
 * - To go on behind any false assertion is not safe: most of them guard a pointer, the length of a
 *   copy or a subtraction of u16 lengths, and the next line would write where a client wants.
 * - To jump out of lwIP (longjmp) is not safe either: its queues are half relinked at that point,
 *   its input segment is still counted twice, and ending the pcb afterwards walks those queues.
 * - So by default the process ends in order: fatal_exit() says the place and takes back routes, DNS
 *   and hooks. A supervisor starts it again; nothing was written that should not have been.
 *
 * The assertions of the list below are different. Each was read with all that follows it up to the
 * end of tcp_input(): only sequence numbers and windows of this one pcb are computed from what
 * turned out wrong, and no length or pointer. There lwIP may go on; bytes of this call are not
 * believed (on_received() drops them), and the flow is reset when it is unmounted.
 */
#include "core/fatal.h"
#include "core/log.h"
#include "listeners/tungo/inside.h"
#include "listeners/tungo/netstack.h"
#include <string.h>

static struct {
    const char *what;
    bool told;
} harmless[] = {
    {.what = "tcp_receive: segment not trimmed correctly to rcv_wnd"},
    {.what = "tcp_receive: segment not trimmed correctly to ooseq queue"},
    {.what = "tcp_receive: tcplen > rcv_wnd"},
    {.what = "tcp_receive: ooseq tcplen > rcv_wnd"},
};

static struct netstack *mounted; /* whose flow lwIP works on; NULL: none */

void netassert_watch(struct netstack *ns)
{
    mounted = ns;
}

static bool *find_harmless(const char *what)
{
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (!strncmp(what, harmless[i].what, strlen(harmless[i].what)))
            return &harmless[i].told;
    return NULL;
}

void netstack_assert(const char *what, const char *file, int line)
{
    const char *slash = strrchr(file, '/');
    bool *told = find_harmless(what);

    file = slash ? slash + 1 : file;
    if (FATAL_ABORTS || !mounted || !told)
        fatal_exit("lwip: \"%s\" at %s:%d does not hold; ending, what was changed on this machine "
                   "is taken back",
                   what, file, line);
    mounted->distrusted = true;
    mounted->stats.asserts++;
    if (!*told)
        log_write(
            LOG_ERROR, (struct log_field[]){F_STR("service", mounted->tungo->service), LOG_END},
            "lwip: \"%s\" at %s:%d does not hold; the flow is reset (told once)", what, file, line);
    *told = true;
}
