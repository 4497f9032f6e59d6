/*
 * Logins, those with a password too: they are verified on other threads, and meanwhile the connection stays
 * among those without a client, its CONNECT kept and its socket not read.
 */
#include "broker/private.h"

#include "auth/password_pool.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

#include <openssl/evp.h>
#include <stdio.h>

struct rc_login {
    struct rc_password_job job;
    struct rc_conn *conn; /* NULL: it is gone */
    uint64_t address_key, client_key;
    bool is_answered;
    uint8_t bytes[]; /* entry, password */
};

/* What stands for a user that does not exist: it takes as long to refuse as one of the instance's. */
static struct rc_slice entry_of_nobody(const struct rc_instance *instance, char out[RC_PASSWORD_ENTRY_MAX])
{
    uint8_t hash[RC_PASSWORD_HASH_LEN] = {0}, salt_text[32], hash_text[2 * RC_PASSWORD_HASH_LEN];
    struct rc_password_entry like;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, &instance->users);
    const struct rc_user *user = rc_trie_walk_next(&walk);
    if (user == NULL || !rc_password_parse(user->password, &like))
        like.iterations = RC_PASSWORD_ITERATIONS;
    EVP_EncodeBlock(salt_text, hash, RC_PASSWORD_SALT_LEN);
    EVP_EncodeBlock(hash_text, hash, RC_PASSWORD_HASH_LEN);
    snprintf(out, RC_PASSWORD_ENTRY_MAX, "$7$%u$%s$%s", like.iterations, (const char *)salt_text,
             (const char *)hash_text);
    return rc_slice_str(out);
}

/* ---- counting wrong ones ---- */

static uint64_t address_key(const struct rc_conn *conn)
{
    /* Who has an IPv6 address has 2^64 of them. */
    return rc_hash(rc_slice(conn->channel.addr, conn->channel.is_v6 ? 8 : 4));
}

/* From there for that client: nobody can shut out a client from elsewhere. */
static uint64_t client_key(uint64_t address, const struct rc_auth_login *login)
{
    return rc_hash(login->client_id) * 3 + address * 7;
}

static bool guard_allows(const struct rc_broker *broker, uint64_t key, uint32_t limit)
{
    return rc_login_guard_allows(rc_password_pool_guard(broker->options.passwords), key, limit,
                                 rc_loop_now_ms(broker->options.loop));
}

static void ask_guard(const struct rc_conn *conn, const struct rc_auth_login *login,
                      bool *ret_client_is_stopped, bool *ret_address_is_stopped)
{
    const struct rc_broker *broker = conn->broker;
    if (!rc_login_guard_is_on(rc_password_pool_guard(broker->options.passwords),
                              rc_loop_now_ms(broker->options.loop)))
        return;
    uint64_t address = address_key(conn), client = client_key(address, login);
    *ret_client_is_stopped = !guard_allows(broker, client, broker->options.login_failures_per_client);
    *ret_address_is_stopped = !guard_allows(broker, address, broker->options.login_failures_per_address);
}

static void count_failure(const struct rc_broker *broker, uint64_t address, uint64_t client)
{
    struct rc_login_guard *guard = rc_password_pool_guard(broker->options.passwords);
    uint64_t now = rc_loop_now_ms(broker->options.loop);
    rc_login_guard_failed(guard, address, now);
    rc_login_guard_failed(guard, client, now);
}

/* ---- waiting for the answer ---- */

static void on_answer(struct rc_password_job *job)
{
    struct rc_login *login = rc_container_of(job, struct rc_login, job);
    struct rc_conn *conn = login->conn;
    if (conn == NULL) {
        free(login);
        return;
    }
    login->is_answered = true;
    struct rc_buf *in = conn->partial; /* the CONNECT is handled again, from the start */
    conn->partial = NULL;
    conn->broker->connecting_bytes -= rc_buf_len(in);
    rc_conn_consume(conn, rc_buf_slice(in));
    rc_buf_free(in);
    free(in);
}

static void keep_connect(struct rc_conn *conn, struct rc_slice in)
{
    conn->partial = rc_new(struct rc_buf);
    rc_buf_init(conn->partial, RC_BROKER_CONNECT_BYTES_MAX + 2 * RC_SCRATCH_BYTES);
    rc_buf_put_slice(conn->partial, in);
    conn->broker->connecting_bytes += in.len;
    if (conn->stream.loop != NULL)
        rc_stream_detach(&conn->stream);
}

static enum rc_auth_result ask(struct rc_conn *conn, const struct rc_auth_login *from,
                               const struct rc_auth_client *client, struct rc_slice in)
{
    struct rc_broker *broker = conn->broker;
    uint64_t address = address_key(conn), who = client_key(address, from);
    if (!from->has_password || from->password.len > RC_PASSWORD_POOL_PASSWORD_MAX) {
        count_failure(broker, address, who);
        return RC_AUTH_BAD_PASSWORD;
    }
    if (broker->connecting_bytes + in.len > RC_BROKER_CONNECTING_BYTES_MAX)
        return RC_AUTH_BUSY;
    char nobody[RC_PASSWORD_ENTRY_MAX];
    struct rc_slice entry =
        client->user != NULL ? client->user->password : entry_of_nobody(client->instance, nobody);
    struct rc_login *login = rc_calloc(1, sizeof(*login) + entry.len + from->password.len);
    memcpy(login->bytes, entry.ptr, entry.len);
    if (from->password.len > 0)
        memcpy(login->bytes + entry.len, from->password.ptr, from->password.len);
    login->conn = conn;
    login->address_key = address;
    login->client_key = who;
    login->job.entry = rc_slice(login->bytes, entry.len);
    login->job.password = rc_slice(login->bytes + entry.len, from->password.len);
    login->job.reply_to = broker->options.loop;
    login->job.on_answer = on_answer;
    if (rc_password_pool_post(broker->options.passwords, &login->job) != RC_OK) {
        explicit_bzero(login->bytes + entry.len, from->password.len);
        free(login);
        return RC_AUTH_BUSY;
    }
    conn->arrival->login = login;
    keep_connect(conn, in);
    return RC_AUTH_NEEDS_PASSWORD;
}

/* The catalog may have changed meanwhile: what was verified must still be the user's entry. */
static enum rc_auth_result take_answer(struct rc_conn *conn, const struct rc_auth_client *client)
{
    struct rc_login *login = conn->arrival->login;
    bool is_right =
        login->job.is_right && client->user != NULL && rc_slice_eq(client->user->password, login->job.entry);
    if (!is_right)
        count_failure(conn->broker, login->address_key, login->client_key);
    conn->arrival->login = NULL;
    free(login);
    return is_right ? RC_AUTH_OK : RC_AUTH_BAD_PASSWORD;
}

/* Somebody tried a secret that was wrong; what is unknown or malformed is none. */
static bool is_guess(enum rc_auth_result result)
{
    return result == RC_AUTH_BAD_SIGNATURE || result == RC_AUTH_BAD_PASSWORD || result == RC_AUTH_BAD_TOKEN ||
           result == RC_AUTH_UNKNOWN_KEY || result == RC_AUTH_UNKNOWN_CREDENTIAL;
}

/*
 * Nobody guesses a signature: who signs right is let in whatever came from his address before, for many
 * devices may stand behind it. A word that somebody chose is another matter.
 */
static bool may_be_guessed(enum rc_auth_result result, const struct rc_auth_client *client)
{
    return result == RC_AUTH_NEEDS_PASSWORD || is_guess(result) ||
           (result == RC_AUTH_OK && client->custom != NULL);
}

enum rc_auth_result rc_login_check(struct rc_conn *conn, const struct rc_auth_login *login,
                                   struct rc_slice in, struct rc_auth_client *ret_client)
{
    struct rc_broker *broker = conn->broker;
    bool is_answered = conn->arrival->login != NULL && conn->arrival->login->is_answered;
    bool is_guarded = broker->options.passwords != NULL && login->has_user;
    bool client_is_stopped = false, address_is_stopped = false;
    if (is_guarded && !is_answered)
        ask_guard(conn, login, &client_is_stopped, &address_is_stopped);
    enum rc_auth_result result = rc_auth_mqtt(broker->catalog, login, ret_client);
    if (client_is_stopped || (address_is_stopped && may_be_guessed(result, ret_client))) {
        RC_COUNT(&broker->counters, refused_guard);
        return RC_AUTH_TOO_MANY_FAILURES;
    }
    if (is_answered && result == RC_AUTH_NEEDS_PASSWORD)
        return take_answer(conn, ret_client);
    rc_login_abandon(conn);
    if (is_guarded && is_guess(result)) {
        uint64_t address = address_key(conn);
        count_failure(broker, address, client_key(address, login));
    }
    if (result != RC_AUTH_NEEDS_PASSWORD)
        return result;
    return broker->options.passwords != NULL ? ask(conn, login, ret_client, in) : RC_AUTH_BUSY;
}

void rc_login_abandon(struct rc_conn *conn)
{
    struct rc_login *login = conn->arrival != NULL ? conn->arrival->login : NULL;
    if (login == NULL)
        return;
    conn->arrival->login = NULL;
    login->conn = NULL;
    atomic_store_explicit(&login->job.is_cancelled, true, memory_order_relaxed);
    if (login->is_answered)
        free(login);
}
