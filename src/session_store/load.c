/* Everything that is kept, record by record. */
#include "base/error.h"
#include "session_store/private.h"

struct load {
    struct rc_session_store *store;
    const struct rc_session_visitor *visitor;
    void *arg;
    MDB_txn *txn;
    uint64_t session; /* whose records come; 0: none */
};

static int load_subscription(struct load *load, uint64_t session, struct rc_slice rest, struct rc_slice body)
{
    struct rc_subscription_record record;
    if (rest.len != 4 || rc_subscription_record_get(body, &record) != RC_OK)
        return RC_ERR_CORRUPT;
    return load->visitor->on_subscription(load->arg, session, rc_load_u32(rest.ptr), &record);
}

/* The body of a session's only record of that kind; no bytes: there is none. */
static int find(struct load *load, uint64_t session, enum rc_session_kind kind, struct rc_slice *ret)
{
    uint8_t bytes[RC_SESSION_PREFIX_LEN + 1] = {RC_TABLE_SESSIONS};
    rc_store_u64(bytes + 1, session);
    bytes[RC_SESSION_PREFIX_LEN] = (uint8_t)kind;
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes}, value;
    int err = mdb_get(load->txn, load->store->dbi, &key, &value);
    *ret = rc_slice(NULL, 0);
    if (err != 0)
        return err == MDB_NOTFOUND ? RC_OK : rc_err_of_mdb(err);
    return rc_session_value_open(rc_slice(bytes, sizeof(bytes)), rc_slice(value.mv_data, value.mv_size), ret);
}

/* A publisher that is gone sends nothing again: what it left behind stays. */
static int is_withdrawn(struct load *load, const struct rc_outgoing_record *record, bool *ret)
{
    struct rc_slice publisher, published;
    int err = find(load, record->origin, RC_KIND_SESSION, &publisher);
    err = err ? err : find(load, record->origin, RC_KIND_PUBLISHED, &published);
    if (err != RC_OK)
        return err;
    if (published.len != 0 && published.len != 8)
        return RC_ERR_CORRUPT;
    uint64_t last = published.len > 0 ? rc_load_u64(published.ptr) : 0;
    *ret = publisher.len > 0 && record->origin_number > last;
    return RC_OK;
}

static int load_outgoing(struct load *load, uint64_t session, struct rc_slice rest, struct rc_slice body)
{
    struct rc_outgoing_record record;
    if (rest.len != 8 || rc_outgoing_record_get(body, &record) != RC_OK)
        return RC_ERR_CORRUPT;
    bool withdrawn = false;
    int err = record.origin != 0 ? is_withdrawn(load, &record, &withdrawn) : RC_OK;
    if (err != RC_OK)
        return err;
    if (withdrawn)
        return load->visitor->on_withdrawn(load->arg, session, rc_load_u64(rest.ptr));
    return load->visitor->on_outgoing(load->arg, session, rc_load_u64(rest.ptr), &record);
}

static int load_incoming(struct load *load, uint64_t session, struct rc_slice rest, struct rc_slice body)
{
    if (rest.len != 2 || body.len != 0 || rc_load_u16(rest.ptr) == 0)
        return RC_ERR_CORRUPT;
    return load->visitor->on_incoming(load->arg, session, rc_load_u16(rest.ptr));
}

static int load_of_session(struct load *load, struct rc_slice key, struct rc_slice body)
{
    struct rc_session_record record;
    if (key.len <= RC_SESSION_PREFIX_LEN)
        return RC_ERR_CORRUPT;
    uint64_t session = rc_load_u64(key.ptr + 1);
    uint8_t kind = key.ptr[RC_SESSION_PREFIX_LEN];
    struct rc_slice rest = rc_slice_from(key, RC_SESSION_PREFIX_LEN + 1);
    if (kind == RC_KIND_SESSION) {
        if (session == 0 || rest.len != 0 || rc_session_record_get(body, &record) != RC_OK)
            return RC_ERR_CORRUPT;
        load->session = session;
        return load->visitor->on_session(load->arg, session, &record);
    }
    if (session != load->session) /* something of a session that is not there */
        return RC_ERR_CORRUPT;
    switch (kind) {
    case RC_KIND_SUBSCRIPTION:
        return load_subscription(load, session, rest, body);
    case RC_KIND_OUTGOING:
        return load_outgoing(load, session, rest, body);
    case RC_KIND_INCOMING:
        return load_incoming(load, session, rest, body);
    case RC_KIND_PUBLISHED: /* looked up where it matters */
        return rest.len == 0 && body.len == 8 ? RC_OK : RC_ERR_CORRUPT;
    default:
        return RC_ERR_CORRUPT;
    }
}

static int load_retained(struct load *load, struct rc_slice key, struct rc_slice value, struct rc_slice body)
{
    struct rc_retained_record record;
    if (key.len != RC_RETAINED_KEY_LEN || rc_retained_record_get(body, &record) != RC_OK)
        return RC_ERR_CORRUPT;
    if (record.message.payload.len == 0) { /* deleted in the last moments of the last run */
        rc_session_store_add_tombstone(load->store, key, value);
        return RC_OK;
    }
    return load->visitor->on_retained(load->arg, &record);
}

static int load_one(struct load *load, struct rc_slice key, struct rc_slice value)
{
    struct rc_slice body;
    if (rc_session_value_open(key, value, &body) != RC_OK)
        return RC_ERR_CORRUPT;
    switch (key.ptr[0]) { /* LMDB has no empty keys */
    case RC_TABLE_META:
        return RC_OK; /* read when it was opened */
    case RC_TABLE_SESSIONS:
        return load_of_session(load, key, body);
    case RC_TABLE_RETAINED:
        return load_retained(load, key, value, body);
    default:
        return RC_ERR_CORRUPT;
    }
}

int rc_session_store_load(struct rc_session_store *store, const struct rc_session_visitor *visitor, void *arg,
                          struct rc_error *error)
{
    struct load load = {.store = store, .visitor = visitor, .arg = arg};
    uint64_t count = 0;
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    int err = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (err == 0 && (err = mdb_cursor_open(txn, store->dbi, &cursor)) != 0)
        mdb_txn_abort(txn);
    if (err != 0)
        return rc_error_set(error, rc_err_of_mdb(err), "%s: %s", store->dir, mdb_strerror(err));
    load.txn = txn;
    int code = RC_OK;
    while (code == RC_OK && (err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        code = load_one(&load, rc_slice(key.mv_data, key.mv_size), rc_slice(value.mv_data, value.mv_size));
        count++;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    if (code == RC_OK && err != MDB_NOTFOUND)
        code = rc_err_of_mdb(err);
    if (code == RC_OK)
        return RC_OK;
    return rc_error_set(error, code,
                        "%s: record %llu of the session store: %s; move the directory away to start without "
                        "the sessions and retained messages in it",
                        store->dir, (unsigned long long)count, rc_err_text(code));
}
