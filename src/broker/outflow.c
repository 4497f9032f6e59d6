/*
 * Design notes
 * - A client's messages stand in one queue, by the hash of its id as its presence events do, and KEYS is the
 *   client id: so a rule that leads to another cluster keeps their order too.
 * - The record is staged before the message is routed. A publisher at QoS 1 or 2 is answered after both are
 *   safe: its turn is held until the log reports the record. At QoS 2 the packet id is written after that,
 *   so a message is in the log twice rather than not at all when the process dies in between.
 */
#include "broker/outflow.h"

#include "base/apart.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "base/log.h"
#include "broker/private.h"
#include "mqtt/topic.h"
#include "presence/event.h"

#include <sys/random.h>

enum { TELL_MS = 1000 };

void rc_outflow_free(struct rc_outflow *outflow)
{
    rc_buf_free(&outflow->props);
    rc_buf_free(&outflow->scratch);
}

static void empty(struct rc_buf *buf, size_t max)
{
    rc_buf_consume(buf, rc_buf_len(buf));
    buf->max = (uint32_t)max;
}

/* ---- properties ---- */

/* As RocketMQ's clients lay it out: bytes 10 to 13 are the time in the month, the last two count. */
int rc_outflow_next_id(struct rc_outflow *outflow, int64_t now_ms, uint8_t out[16])
{
    if (!outflow->has_id && getrandom(outflow->id, 10, 0) != 10)
        return RC_ERR_IO;
    outflow->has_id = true;
    rc_store_u32(outflow->id + 10, rc_event_month_ms(now_ms));
    rc_store_u16(outflow->id + 14, ++outflow->counter);
    memcpy(out, outflow->id, sizeof(outflow->id));
    return RC_OK;
}

static int put_unique_key(struct rc_outflow *outflow, const uint8_t *id, int64_t now_ms)
{
    char hex[RC_UNIQ_KEY_LEN];
    uint8_t own[16];
    if (id == NULL && rc_outflow_next_id(outflow, now_ms, own) != RC_OK)
        return RC_ERR_IO;
    rc_hex_upper(hex, id != NULL ? id : own, sizeof(own));
    return rc_props_put(&outflow->props, RC_PROP_UNIQ_KEY, rc_slice(hex, sizeof(hex)));
}

/* [{"key":"...","value":"..."}, ...], as the product's SDK reads it. */
static int put_user_properties(struct rc_outflow *outflow, struct rc_slice raw)
{
    struct rc_slice name, value;
    struct rc_json json;
    size_t at = 0;
    bool has_any = false;
    empty(&outflow->scratch, RC_OUTFLOW_USER_PROPERTIES_MAX);
    rc_json_init(&json, &outflow->scratch);
    rc_json_array_begin(&json);
    while (rc_mqtt_props_next_user(raw, &at, &name, &value)) {
        rc_json_object_begin(&json);
        rc_json_put_string(&json, "key", name);
        rc_json_put_string(&json, "value", value);
        rc_json_object_end(&json);
        has_any = true;
    }
    rc_json_array_end(&json);
    if (!has_any)
        return RC_OK;
    return json.err ? RC_ERR_TOO_LARGE
                    : rc_props_put(&outflow->props, "mqtt5UserProperty", rc_buf_slice(&outflow->scratch));
}

static int put_version_5(struct rc_outflow *outflow, const struct rc_mqtt_props *props)
{
    char digits[RC_DECIMAL_MAX];
    int err = RC_OK;
    if (rc_mqtt_props_has(props, RC_MQTT_PROP_MESSAGE_EXPIRY))
        err = rc_props_put(&outflow->props, "mqtt5MsgExpireInterval",
                           rc_slice(digits, rc_decimal(digits, props->numbers[RC_MQTT_PROP_MESSAGE_EXPIRY])));
    bool has_type =
        rc_mqtt_props_has(props, RC_MQTT_PROP_CONTENT_TYPE); /* without it the text is undefined */
    if (has_type && props->strings[RC_MQTT_PROP_CONTENT_TYPE].len > RC_OUTFLOW_CONTENT_TYPE_MAX)
        return RC_ERR_TOO_LARGE;
    if (err == RC_OK && has_type)
        err = rc_props_put(&outflow->props, "mqtt5ContentType", props->strings[RC_MQTT_PROP_CONTENT_TYPE]);
    return err ? err : put_user_properties(outflow, props->raw);
}

static int put_properties(struct rc_outflow *outflow, const struct rc_mqtt_publish *publish,
                          const struct rc_session *from, const uint8_t *id, int64_t now_ms)
{
    static const char *const levels[] = {"0", "1", "2"};
    struct rc_slice client_id = rc_slice_str(rc_session_client_id(from)), parent;
    struct rc_buf *props = &outflow->props;
    size_t at = 0;
    rc_topic_next_level(publish->topic, &at, &parent);
    empty(props, RC_OUTFLOW_PROPERTIES_MAX);
    empty(&outflow->scratch, 4 * RC_CLIENT_ID_MAX);
    int err = rc_event_put_keys(&outflow->scratch, client_id);
    err = err ? err : rc_props_put(props, RC_PROP_KEYS, rc_buf_slice(&outflow->scratch));
    err = err ? err : put_unique_key(outflow, id, now_ms);
    err = err ? err : rc_props_put(props, "qoslevel", rc_slice_str(levels[publish->qos]));
    err = err ? err
              : rc_props_put(props, "cleansessionflag", rc_slice_str(from->expiry_s == 0 ? "true" : "false"));
    err = err ? err : rc_props_put(props, "mqttSecondTopic", rc_slice_from(publish->topic, parent.len));
    err = err ? err : rc_props_put(props, "clientId", client_id);
    err = err ? err : rc_props_put(props, "topic", publish->topic);
    err = err ? err : rc_props_put(props, RC_PROP_INSTANCE, rc_session_instance(from));
    err = err ? err : put_version_5(outflow, &publish->props);
    return err == RC_ERR_FULL ? RC_ERR_TOO_LARGE
                              : err; /* it would never fit: not as when the log takes nothing */
}

/* ---- the log ---- */

static void on_written(void *owner, const struct rc_append *append)
{
    rc_persist_happened(owner);
}

static int stage(struct rc_broker *broker, const struct rc_flow_rule *rule,
                 const struct rc_mqtt_publish *publish, const struct rc_session *from, const uint8_t *id)
{
    int64_t now_ms = rc_clock_wall_ms();
    struct rc_slice client_id = rc_slice_str(rc_session_client_id(from));
    int err = put_properties(&broker->outflow, publish, from, id, now_ms);
    if (err != RC_OK)
        return err;
    struct rc_message message = {
        .born_ms = now_ms,
        .store_ms = now_ms,
        .born_host = broker->options.store_host,
        .store_host = broker->options.store_host,
        .body = publish->payload,
        .props = rc_buf_slice(&broker->outflow.props),
    };
    struct rc_queue *queue =
        rc_topic_queue(rule->topic, rc_hash_java_queue(client_id, rc_topic_queue_count(rule->topic)));
    if (publish->qos == 0)
        return rc_log_stage(broker->sender, queue, &message, 0, NULL, NULL);
    struct rc_turn *turn = rc_persist_await(broker);
    err = rc_log_stage(broker->sender, queue, &message, 0, on_written, turn);
    if (err != RC_OK)
        rc_persist_happened(turn);
    return err;
}

/* A rule's tally is one for all shards. */
static void count_one(atomic_uint_fast64_t *count)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static void count(struct rc_rule_tally *tally, int err, bool was_refused, uint8_t qos)
{
    if (tally == NULL)
        return;
    if (was_refused && qos > 0) {
        count_one(&tally->refused);
        return;
    }
    count_one(&tally->matched);
    if (err == RC_OK)
        count_one(&tally->delivered);
    else
        count_one(&tally->dropped[was_refused ? RC_RULE_DROP_LOG_FULL : RC_RULE_DROP_UNFIT]);
}

static RC_APART enum rc_outflow_result take(struct rc_broker *broker, const struct rc_flow_rule *rule,
                                            const struct rc_mqtt_publish *publish,
                                            const struct rc_session *from, const uint8_t *id)
{
    int err = rc_log_writer_is_blocked(broker->options.writer) ? RC_ERR_NO_SPACE
                                                               : stage(broker, rule, publish, from, id);
    broker->outflow.was_refused = err != RC_OK && err != RC_ERR_TOO_LARGE && err != RC_ERR_INVALID;
    count(rule->tally, err, broker->outflow.was_refused, publish->qos);
    if (err == RC_OK)
        return RC_OUTFLOW_TAKEN;
    RC_COUNT(&broker->counters, outflow_refused);
    uint64_t now = rc_loop_now_ms(broker->options.loop);
    if (now - broker->outflow.told_ms >= TELL_MS) {
        broker->outflow.told_ms = now;
        rc_log_warn("rules", "%.*s: a message is refused: %s", RC_SLICE_FMT(rule->id), rc_err_text(err));
    }
    return broker->outflow.was_refused ? RC_OUTFLOW_REFUSED : RC_OUTFLOW_NONE;
}

enum rc_outflow_result rc_outflow_take(struct rc_broker *broker, const struct rc_instance *instance,
                                       const struct rc_mqtt_publish *publish, const struct rc_session *from,
                                       const uint8_t *id)
{
    const struct rc_flow_rule *rule = rc_instance_outflow(instance, publish->topic);
    broker->outflow.was_refused = false;
    return rule != NULL && rule->topic != NULL ? take(broker, rule, publish, from, id) : RC_OUTFLOW_NONE;
}
