/* core/log.h - log records: JSON or text, one per line, the levels and key names of GOST
 * (gost-config.md 3.14, 11.1).
 *
 * One log per process, set up once before the loop starts; calls come from the loop's thread. A
 * line is written with one system call and never blocks the data path for long (stderr, stdout or a
 * file; core/sink.h): what can't be written is counted, and the next line that can says so. A log
 * file that is renamed is made anew. Callers pass no secrets; values from peers are escaped here.
 * Repeats of one warning or error text beyond 10 a second are counted and reported as one line
 * ("repeated N times").
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/rc.h"
#include <stdint.h>

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL, LOG_NONE };

struct log_cfg {
    enum log_level level;
    bool text; /* false: JSON */
    /* "stderr", "stdout", "none", "null", or a file (its folders are made; it is appended to) */
    const char *output;
};

enum rc log_open(const struct log_cfg *cfg, struct diag *diag);
/* Would log_open() find it writable? Makes nothing. */
enum rc log_check_output(const char *output, struct diag *diag);
void log_close(void);
bool log_wants(enum log_level level);
enum log_level log_level_parse(const char *word, bool *ret_known); /* unknown: info */

/* Fields of a record: a list ended by LOG_END, built in place:
 *   struct log_field f[] = {F_STR("service", name), F_INT("inputBytes", n), LOG_END};
 *   log_write(LOG_INFO, f, "%s >-< %s", a, b);
 */
struct log_field {
    const char *key;
    const char *str; /* NULL: num is the value */
    int64_t num;
};
static inline struct log_field log_str(const char *key, const char *str)
{
    return (struct log_field){.key = key, .str = str ? str : ""};
}
#define F_STR(k, s) log_str((k), (s))
#define F_INT(k, n) ((struct log_field){.key = (k), .num = (int64_t)(n)})
#define LOG_END     ((struct log_field){.key = NULL})

void log_write(enum log_level level, const struct log_field *fields, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_fatal(...) log_write(LOG_FATAL, NULL, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, NULL, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, NULL, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_wants(LOG_DEBUG))                                                                  \
            log_write(LOG_DEBUG, NULL, __VA_ARGS__);                                               \
    } while (0)

#endif
