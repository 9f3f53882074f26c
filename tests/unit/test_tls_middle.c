/* TLS with somebody in the middle: cut anywhere, bits flipped, something else than a hello. */
#include "tlscase.h"

/* client TLS ~~wire~~ [left] middle [right] ~~wire~~ server TLS */
struct middle {
    struct stream *side[2];
    size_t passed[2];
    size_t cut[2];  /* this direction ends after so many bytes (0: never) */
    size_t flip[2]; /* the byte with this number changes (0: none) */
};
static struct middle middle;

static void on_middle(struct stream *s, unsigned ready, void *arg)
{
    int from = s == middle.side[1];
    static unsigned char buf[100000];
    size_t n = 0, out = 0;
    enum rc rc;

    (void)ready;
    (void)arg;
    rc = stream_recv(s, buf, sizeof(buf), &n);
    if (rc == RC_AGAIN)
        return;
    if (rc == RC_OK && middle.cut[from] && middle.passed[from] + n >= middle.cut[from]) {
        n = middle.cut[from] - middle.passed[from];
        rc = RC_EOF;
    }
    if (middle.flip[from] > middle.passed[from] && middle.flip[from] <= middle.passed[from] + n)
        buf[middle.flip[from] - middle.passed[from] - 1] ^= 1;
    if (n > 0) {
        struct iovec v = {.iov_base = buf, .iov_len = n};

        (void)stream_send(middle.side[!from], &v, 1, &out);
        middle.passed[from] += n;
    }
    if (rc != RC_OK) {
        (void)stream_shut(middle.side[!from]);
        stream_want(s, 0, NULL, NULL);
    }
}

static void join_with_middle(const struct middle *m)
{
    struct mem_cfg mc = {.cap_bytes = 1 << 20};
    struct layer *l[4];

    tlspair_join(cctx, NULL, "example.test", NULL, &mc); /* gives us a client and its wire */
    middle = *m;
    middle.side[0] = server.s;
    stream_want(server.s, 0, NULL, NULL);
    ck_assert_int_eq(stream_open(middle.side[0]), RC_OK);
    ck_assert(mem_pair(tlspair_loop, &mc, &l[0], &l[1]));
    middle.side[1] = stream_new(tlspair_loop);
    stream_push(middle.side[1], l[0]);
    ck_assert_int_eq(stream_open(middle.side[1]), RC_OK);
    tlspair_rejoin_server(l[1], sctx);
    stream_want(middle.side[0], STREAM_IN, on_middle, NULL);
    stream_want(middle.side[1], STREAM_IN, on_middle, NULL);
}

static void end_middle(void)
{
    stream_close(middle.side[0]);
    stream_close(middle.side[1]);
    middle = (struct middle){.side = {NULL}};
}

START_TEST(test_cut_anywhere)
{
    enum { NOTIFY = 37 }; /* bytes of a close_notify record */
    size_t all;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    join_with_middle(&(struct middle){.side = {NULL}});
    client.to_send = 100;
    tlspair_run();
    ck_assert(!client.failed && !server.failed);
    all = middle.passed[0];
    end_middle();
    for (size_t cut = 1; cut <= all - NOTIFY; cut += cut < 50 ? 1 : 17) {
        join_with_middle(&(struct middle){.cut = {cut, 0}});
        client.to_send = 100;
        client.keep_open = true;
        server.keep_open = true;
        client.close_after = 0;
        tlspair_run_until(&server);
        ck_assert_msg(server.failed || server.eof, "cut at %zu of %zu: %d", cut, all, server.open);
        if (server.failed)
            ck_assert_msg(strstr(server.diag.text, "closed") || strstr(server.diag.text, "ended"),
                          "%s", server.diag.text);
        end_middle();
    }
}
END_TEST

START_TEST(test_bare_end_at_a_record_border_is_an_end)
{
    size_t notify, all;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    join_with_middle(&(struct middle){.side = {NULL}});
    client.to_send = 100;
    tlspair_run();
    all = middle.passed[0]; /* the last record is the close_notify */
    end_middle();
    for (notify = 1; notify < 60; notify++) {
        join_with_middle(&(struct middle){.cut = {all - notify, 0}});
        client.to_send = 100;
        server.keep_open = client.keep_open = true;
        client.keep_open = false;
        tlspair_run_until(&server);
        if (server.eof)
            break;
        ck_assert(server.failed);
        ck_assert_str_eq(server.diag.text, "tls: connection ended inside a record");
        end_middle();
    }
    ck_assert(server.eof);
    ck_assert_uint_eq(server.received, 100);
    end_middle();
}
END_TEST

START_TEST(test_flipped_bits_are_noticed)
{
    size_t all[2], unnoticed = 0;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    join_with_middle(&(struct middle){.side = {NULL}});
    client.to_send = server.to_send = 3000;
    tlspair_run();
    memcpy(all, middle.passed, sizeof(all));
    end_middle();
    for (int from = 0; from < 2; from++) {
        for (size_t at = 12; at < all[from]; at += 37) {
            struct middle m = {.flip = {0, 0}};

            m.flip[from] = at;
            join_with_middle(&m);
            client.to_send = server.to_send = 3000;
            tlspair_run();
            /* changed ChangeCipherSpec records of TLS 1.3 may be anything */
            if (!client.failed && !server.failed)
                unnoticed++;
            end_middle();
        }
    }
    ck_assert_uint_le(unnoticed, 2);
}
END_TEST

/* One end speaks TLS, the other says `said` and waits. */
static void against_plain(bool tls_is_server, const char *said, size_t n)
{
    struct iovec v = {.iov_base = (void *)(uintptr_t)said, .iov_len = n};
    struct tlsend *e = tls_is_server ? &server : &client;
    struct stream *plain;
    size_t sent = 0;

    tlspair_join(tls_is_server ? NULL : cctx, tls_is_server ? sctx : NULL, "x", NULL, NULL);
    plain = tls_is_server ? client.s : server.s;
    stream_want(plain, 0, NULL, NULL);
    ck_assert_int_eq(stream_open(plain), RC_OK);
    ck_assert_int_eq(stream_send(plain, &v, 1, &sent), RC_OK);
    ck_assert_uint_eq(sent, n);
    e->keep_open = true;
    tlspair_run_ms(5);
    ck_assert_msg(e->failed, "not noticed");
    ck_assert_msg(e->diag.rc == RC_PROTO, "%s", e->diag.text);
}

START_TEST(test_garbage_instead_of_hello)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n";
    static const char alert[] = "\x15\x03\x01\x00\x02\x02\x28";
    char noise[4096];
    uint32_t g = (uint32_t)_i;

    cctx = make_client(NULL);
    sctx = make_server("server", NULL);
    against_plain(true, http, sizeof(http) - 1);
    against_plain(false, http, sizeof(http) - 1);
    against_plain(false, alert, 7);
    ck_assert_str_eq(client.diag.text, "tls: peer sent alert handshake_failure");
    for (size_t i = 0; i < sizeof(noise); i++) {
        g = g * 1103515245u + 12345u;
        noise[i] = (char)(g >> 16);
    }
    noise[0] |= 0x40; /* no record type */
    against_plain(true, noise, sizeof(noise));
    against_plain(false, noise, sizeof(noise));
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, test_cut_anywhere);
    tcase_add_test(c, test_bare_end_at_a_record_border_is_an_end);
    tcase_add_test(c, test_flipped_bits_are_noticed);
    tcase_add_loop_test(c, test_garbage_instead_of_hello, 0, 3);
}

int main(void)
{
    return run_cases("tls_middle", add);
}
