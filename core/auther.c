/* core/auther.c - users and passwords. See auther.h. */
#include "core/auther.h"
#include "core/secret.h"
#include <stdlib.h>
#include <string.h>

struct user {
    char *name, *password;
};

struct auther {
    struct user *users;
    size_t n, cap;
};

struct auther *auther_new(void)
{
    return calloc(1, sizeof(struct auther));
}

static void user_done(struct user *u)
{
    if (u->password)
        secret_wipe(u->password, strlen(u->password));
    free(u->password);
    free(u->name);
}

void auther_free(struct auther *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n; i++)
        user_done(&a->users[i]);
    free(a->users);
    free(a);
}

enum rc auther_add(struct auther *a, const char *user, const char *password)
{
    struct user u;

    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 4;
        struct user *v = realloc(a->users, cap * sizeof *v);

        if (!v)
            return RC_NOMEM;
        a->users = v;
        a->cap = cap;
    }
    u.name = strdup(user);
    u.password = strdup(password ? password : "");
    if (!u.name || !u.password) {
        user_done(&u);
        return RC_NOMEM;
    }
    a->users[a->n++] = u;
    return RC_OK;
}

bool auther_check(const struct auther *a, const char *user, const char *password)
{
    bool ok = false;

    if (!a)
        return true;
    user = user ? user : "";
    password = password ? password : "";
    /* No early exit: the time does not tell which user exists. */
    for (size_t i = 0; i < a->n; i++) {
        const struct user *u = &a->users[i];
        bool name = secret_equal(user, strlen(user), u->name, strlen(u->name));
        bool pass = secret_equal(password, strlen(password), u->password, strlen(u->password));

        ok |= name & (pass | !u->password[0]);
    }
    return ok;
}
