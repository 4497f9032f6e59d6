/* What the files of this room share: keys, operations, the environment. */
#ifndef RC_SESSION_STORE_PRIVATE_H
#define RC_SESSION_STORE_PRIVATE_H

#include "session_store/session_store.h"

#include <lmdb.h>

/* Keys: a table, then what names the record. Those of a session stand together, the session itself first. */
enum rc_session_table { RC_TABLE_META = 'M', RC_TABLE_RETAINED = 'R', RC_TABLE_SESSIONS = 'S' };
enum rc_session_kind {
    RC_KIND_SESSION,
    RC_KIND_SUBSCRIPTION,
    RC_KIND_OUTGOING,
    RC_KIND_INCOMING,
    RC_KIND_PUBLISHED, /* the number of the last message at QoS 2 that was taken from it */
};
enum {
    RC_SESSION_PREFIX_LEN = 1 + 8, /* table, session */
    RC_RETAINED_KEY_LEN = 1 + 32,  /* table, SHA-256 of instance NUL topic */
    RC_STORE_KEY_MAX = RC_RETAINED_KEY_LEN,
    RC_VALUE_HEAD = 4, /* CRC-32 of what follows and of the key */
};

enum rc_session_op {
    RC_OP_PUT,
    RC_OP_PUT_NEWER,
    RC_OP_PUT_OF_SESSION, /* only while the session is there */
    RC_OP_DELETE,
    RC_OP_DELETE_PREFIX,
};

/* One operation as a batch holds it; slices point into the batch. */
struct rc_session_operation {
    enum rc_session_op op;
    struct rc_slice key, value; /* value: with its head */
};
/* The operation at *at, which moves on; false at the end. */
bool rc_session_batch_next(const struct rc_session_batch *batch, size_t *at,
                           struct rc_session_operation *ret);

/* The checksum that belongs into a value's head. */
uint32_t rc_session_checksum(struct rc_slice key, struct rc_slice body);
/* What the value says, without its head: RC_ERR_CORRUPT when the checksum is not its own. */
int rc_session_value_open(struct rc_slice key, struct rc_slice value, struct rc_slice *ret_body);

struct rc_session_store {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t epoch;
    int64_t last_alive_ms;
    uint32_t flush_interval_ms;
    enum rc_session_flush flush;
    struct rc_loop *loop;
    struct rc_hook hook;
    struct rc_timer retry, sync;
    struct rc_list waiting;    /* batches, the oldest first */
    struct rc_list tombstones; /* of retained messages, the oldest first */
    atomic_bool is_blocked;
    bool is_running, is_dirty; /* dirty: written since the last sync */
    struct rc_session_store_counters counters;
    char *dir;
};

/* ---- transaction.c ---- */
/* Writes what waits and reports it; false when the disk does not take it, and a retry is due. */
bool rc_session_store_commit(struct rc_session_store *store);
/* This deletion of a retained message is in the store: forgotten after RC_SESSION_TOMBSTONE_MS. */
void rc_session_store_add_tombstone(struct rc_session_store *store, struct rc_slice key,
                                    struct rc_slice value);
void rc_session_store_forget_tombstones(struct rc_session_store *store);
MDB_val rc_mdb_val(struct rc_slice slice);
/* ---- session_store.c ---- */
int rc_session_store_put_alive(struct rc_session_store *store, MDB_txn *txn);
int rc_err_of_mdb(int err);

#endif
