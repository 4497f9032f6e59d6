/*
 * Design notes
 * - The records go out with those of the shard's events: in the same batch, so in the same mail and the same
 *   write. What a step costs besides is its bytes in the log, some 300, and their place in the index by key.
 * - The limit of steps in a second holds for the log's sake: an hour at 1000 a second takes 1 GiB of it.
 */
#include "broker/trace.h"

#include "base/apart.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hex.h"
#include "broker/private.h"
#include "presence/event.h"

enum { WINDOW_MS = 1000 };

static const char *const step_names[] = {
#define X(name, text) text,
    RC_TRACE_STEP_MAP(X)
#undef X
};

void rc_tracer_free(struct rc_tracer *tracer)
{
    rc_buf_free(&tracer->props);
}

static bool has_room(struct rc_broker *broker)
{
    struct rc_tracer *tracer = &broker->tracer;
    uint64_t now_ms = rc_loop_now_ms(broker->options.loop);
    if (now_ms - tracer->window_ms >= WINDOW_MS) {
        tracer->window_ms = now_ms;
        tracer->in_window = 0;
    }
    return tracer->in_window < broker->options.traces_per_second &&
           rc_log_sender_under_way(broker->sender) < RC_TRACE_UNDER_WAY_MAX &&
           !rc_log_writer_is_blocked(broker->options.writer);
}

/* "<message id> <client id>", those of them that there are. */
static int put_keys(struct rc_buf *props, struct rc_slice message_id, struct rc_slice client_id)
{
    uint8_t bytes[RC_TRACE_HEX_LEN + 1 + 4 * RC_CLIENT_ID_MAX];
    struct rc_buf keys = {.data = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    rc_buf_put_slice(&keys, message_id);
    if (message_id.len > 0 && client_id.len > 0)
        rc_buf_put_slice(&keys, rc_slice_str(" "));
    int err = client_id.len > 0 ? rc_event_put_keys(&keys, client_id) : RC_OK;
    return err ? err : rc_props_put(props, RC_PROP_KEYS, rc_buf_slice(&keys));
}

static int put_props(struct rc_buf *props, struct rc_slice instance, struct rc_slice message_id,
                     struct rc_slice client_id, enum rc_trace_step step)
{
    rc_buf_consume(props, rc_buf_len(props));
    props->max = RC_MESSAGE_PROPS_MAX;
    int err = put_keys(props, message_id, client_id);
    err = err ? err : rc_props_put(props, RC_PROP_TRACE, rc_slice_str(step_names[step]));
    err = err ? err : rc_props_put(props, RC_PROP_INSTANCE, instance);
    if (message_id.len > 0)
        err = err ? err : rc_props_put(props, RC_PROP_TRACE_MESSAGE, message_id);
    return err;
}

static void keep(struct rc_broker *broker, struct rc_slice instance, struct rc_slice message_id,
                 struct rc_slice client_id, enum rc_trace_step step)
{
    struct rc_topic *topic = broker->catalog->trace_topic;
    struct rc_buf *props = &broker->tracer.props;
    int64_t now_ms = rc_clock_wall_ms();
    int err = topic != NULL && has_room(broker) ? put_props(props, instance, message_id, client_id, step)
                                                : RC_ERR_FULL;
    struct rc_message message = {
        .born_ms = now_ms,
        .store_ms = now_ms,
        .born_host = broker->options.store_host,
        .store_host = broker->options.store_host,
        .body = client_id,
        .props = rc_buf_slice(props),
    };
    err = err ? err : rc_log_stage(broker->sender, rc_topic_queue(topic, 0), &message, 0, NULL, NULL);
    if (err == RC_OK) {
        broker->tracer.in_window++;
        RC_COUNT(&broker->counters, traces);
    } else {
        RC_COUNT(&broker->counters, traces_dropped);
    }
}

static void keep_message(struct rc_broker *broker, struct rc_slice instance,
                         const struct rc_publication *publication, struct rc_slice client_id,
                         enum rc_trace_step step)
{
    char hex[RC_TRACE_HEX_LEN];
    rc_hex_upper(hex, rc_publication_trace_id(publication), RC_TRACE_ID_LEN);
    keep(broker, instance, rc_slice(hex, sizeof(hex)), client_id, step);
}

static RC_APART struct rc_publication *create_traced(struct rc_broker *broker,
                                                     const struct rc_mqtt_publish *publish, uint64_t from,
                                                     const uint8_t *id)
{
    uint8_t own[RC_TRACE_ID_LEN];
    uint64_t now_ms = rc_loop_now_ms(broker->options.loop);
    if (id == NULL && rc_outflow_next_id(&broker->outflow, rc_clock_wall_ms(), own) != RC_OK)
        return rc_publication_create(&broker->publications, publish, from, now_ms);
    return rc_publication_create_traced(&broker->publications, publish, from, now_ms, id != NULL ? id : own);
}

struct rc_publication *rc_trace_publication(struct rc_broker *broker, const struct rc_instance *instance,
                                            const struct rc_mqtt_publish *publish, uint64_t from,
                                            const uint8_t *id)
{
    if (instance->is_traced && !rc_slice_starts_with(publish->topic, rc_slice_str("$")))
        return create_traced(broker, publish, from, id);
    return rc_publication_create(&broker->publications, publish, from, rc_loop_now_ms(broker->options.loop));
}

void rc_trace_published(struct rc_broker *broker, struct rc_slice instance,
                        const struct rc_publication *publication, const struct rc_session *from)
{
    struct rc_slice client_id = from != NULL ? rc_slice_str(rc_session_client_id(from)) : rc_slice(NULL, 0);
    keep_message(broker, instance, publication, client_id,
                 from != NULL ? RC_TRACE_PUB_MQTT : RC_TRACE_PUB_MQ);
}

void rc_trace_keep_step(struct rc_broker *broker, const struct rc_session *session,
                        const struct rc_publication *publication, enum rc_trace_step step)
{
    keep_message(broker, rc_session_instance(session), publication,
                 rc_slice_str(rc_session_client_id(session)), step);
}

void rc_trace_refused(struct rc_broker *broker, const struct rc_instance *instance, struct rc_slice client_id)
{
    if (instance != NULL && instance->is_traced && client_id.len > 0)
        keep(broker, instance->id, rc_slice(NULL, 0), client_id, RC_TRACE_REFUSED);
}
