/* Output that waits: what a client is told of a change goes out when the change is durable. */
#include "base/alloc.h"
#include "broker/private.h"

/* A connection's output: what may go, what waits for one turn, and what for a later one. */
struct rc_hold {
    struct rc_list node;
    struct rc_conn *conn;
    size_t free_bytes;      /* at the front */
    size_t first_bytes;     /* free ones and those of the first turn; only while there is a second one */
    uint64_t first, second; /* turns; second 0: none */
};

static struct rc_hold *hold_of(const struct rc_conn *conn)
{
    return conn->rare != NULL ? conn->rare->hold : NULL;
}

bool rc_conn_is_held(const struct rc_conn *conn)
{
    return hold_of(conn) != NULL;
}

void rc_conn_hold(struct rc_conn *conn)
{
    struct rc_persist *persist = &conn->broker->persist;
    struct rc_hold *hold = hold_of(conn);
    if ((persist->store == NULL && persist->turn == NULL) || conn->is_dead)
        return;
    uint64_t number = rc_persist_turn_number(conn->broker);
    size_t pending = rc_output_pending(&conn->output);
    if (hold == NULL) {
        hold = rc_conn_rare(conn)->hold = rc_new(struct rc_hold);
        hold->conn = conn;
        hold->free_bytes = pending;
        hold->first = number;
        rc_list_push_back(&persist->held, &hold->node);
    } else if (hold->second != 0) {
        hold->second = number;
    } else if (hold->first != number) {
        hold->second = number;
        hold->first_bytes = pending;
    }
}

size_t rc_conn_held_bytes(const struct rc_conn *conn)
{
    const struct rc_hold *hold = hold_of(conn);
    return hold != NULL ? rc_output_pending(&conn->output) - hold->free_bytes : 0;
}

void rc_conn_held_flushed(struct rc_conn *conn, size_t len)
{
    struct rc_hold *hold = hold_of(conn);
    if (hold == NULL)
        return;
    hold->free_bytes -= len;
    if (hold->second != 0)
        hold->first_bytes -= len;
}

void rc_conn_unhold(struct rc_conn *conn)
{
    struct rc_hold *hold = hold_of(conn);
    if (hold == NULL)
        return;
    rc_list_remove(&hold->node);
    free(hold);
    conn->rare->hold = NULL;
}

static void let_go(struct rc_hold *hold, uint64_t done)
{
    if (hold->first > done)
        return;
    struct rc_conn *conn = hold->conn;
    if (hold->second == 0 || hold->second <= done) {
        rc_conn_unhold(conn);
    } else {
        hold->free_bytes = hold->first_bytes;
        hold->first = hold->second;
        hold->second = 0;
    }
    rc_conn_touch(conn);
}

void rc_persist_let_go(struct rc_broker *broker)
{
    rc_list_for_each_safe(node, &broker->persist.held)
        let_go(rc_container_of(node, struct rc_hold, node), broker->persist.done);
}
