/* Takes the events of a fleet off the wire. What to make of them is sim_verify.c's. */
#include "cli/sim_collect.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "rollcall/consumer.h"

#include <stdio.h>
#include <time.h>

/* A broker's clock may be behind this one, and messages are found by its time. */
enum { CLOCK_MARGIN_MS = 60 * 1000, FIRST_EVENTS = 1024, POLL_MS = 20 };

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

struct rc_sim_collector *rc_sim_collector_create(const struct rc_sim_record *record)
{
    struct rc_sim_collector *collector = rc_new(struct rc_sim_collector);
    collector->record = record;
    collector->status = rc_client_status_create(NULL);
    return collector;
}

void rc_sim_collector_destroy(struct rc_sim_collector *collector)
{
    if (collector == NULL)
        return;
    rc_sim_collector_stop(collector);
    rc_client_status_destroy(collector->status);
    free(collector->events);
    free(collector);
}

static struct rc_sim_event *add_event(struct rc_sim_collector *collector)
{
    if (collector->count >= RC_SIM_EVENTS_MAX)
        return NULL;
    if (collector->count == collector->cap) {
        collector->cap = collector->cap ? collector->cap * 2 : FIRST_EVENTS;
        collector->events = rc_realloc(collector->events, collector->cap * sizeof(*collector->events));
    }
    return &collector->events[collector->count++];
}

void rc_sim_collector_add(struct rc_sim_collector *collector, const void *body, size_t len, bool is_recovered,
                          uint32_t queue, uint64_t offset, uint64_t arrived_us)
{
    struct rc_client_event from;
    struct rc_sim_event event = {
        .queue = queue, .offset = offset, .arrived_us = arrived_us, .is_recovered = is_recovered};
    enum rc_client_status_result result = rc_client_status_add_json(collector->status, body, len, &from);
    if (result == RC_CLIENT_STATUS_INVALID || from.time_ms < collector->record->wall_start_ms ||
        !rc_sim_client_number(collector->record, rc_slice_str(from.client_id), &event.client)) {
        collector->others++;
        return;
    }
    if (from.client_ip != NULL)
        rc_sim_address_parse(from.client_ip, &event.is_v6, event.addr, &event.port);
    event.type = (uint8_t)from.type;
    event.channel = rc_hash(rc_slice_str(from.channel_id));
    event.time_ms = from.time_ms;
    struct rc_sim_event *to = add_event(collector);
    if (to != NULL)
        *to = event;
    if (from.type == RC_CLIENT_EVENT_TCPCLEAN && result != RC_CLIENT_STATUS_DUPLICATE)
        atomic_fetch_add(&collector->ends, 1);
}

static enum rc_consume_result on_message(const struct rc_consumer_message *message, void *arg)
{
    struct rc_sim_collector *collector = arg;
    uint64_t now_us = rc_sim_record_now_us(collector->record);
    char reason[32] = "";
    bool is_recovered = rc_consumer_property(message, "rcReason", reason, sizeof(reason)) > 0 &&
                        strcmp(reason, "server-crash") == 0;
    rc_sim_collector_add(collector, message->body, message->body_len, is_recovered, message->queue_id,
                         message->queue_offset, now_us);
    atomic_store(&collector->last_ms, rc_clock_mono_ms());
    return RC_CONSUME_COMMIT;
}

static void on_error(const char *text, void *arg)
{
    fprintf(stderr, "rollcall sim: events: %s\n", text);
}

int rc_sim_collector_start(const struct rc_sim_collector_options *options, const struct rc_sim_record *record,
                           struct rc_sim_collector **ret, struct rc_error *error)
{
    struct rc_sim_collector *collector = rc_sim_collector_create(record);
    char text[256];
    struct rc_consumer_options consumer_options = {
        .namesrv = options->endpoint,
        .group = "GID_rollcall_sim",
        .topic = options->topic,
        .access_key = options->access_key,
        .secret_key = options->secret_key,
        .broadcasting = true, /* all of it, every time */
        .from_ms = record->wall_start_ms - CLOCK_MARGIN_MS,
        .on_message = on_message,
        .on_error = on_error,
        .arg = collector,
    };
    atomic_store(&collector->last_ms, rc_clock_mono_ms());
    int err = rc_consumer_start(&consumer_options, &collector->consumer, text, sizeof(text));
    if (err != RC_OK) {
        rc_sim_collector_destroy(collector);
        return rc_error_set(error, err, "events: %s", text);
    }
    *ret = collector;
    return RC_OK;
}

bool rc_sim_collector_wait_ready(const struct rc_sim_collector *collector, uint64_t timeout_ms)
{
    for (uint64_t waited = 0; waited < timeout_ms; waited += POLL_MS) {
        if (rc_consumer_queues(collector->consumer) > 0)
            return true;
        sleep_ms(POLL_MS);
    }
    return false;
}

void rc_sim_collector_wait_ends(const struct rc_sim_collector *collector, uint64_t ends, uint64_t idle_ms)
{
    uint64_t start = rc_clock_mono_ms();
    while (atomic_load(&collector->ends) < ends) {
        uint64_t now = rc_clock_mono_ms(), last = atomic_load(&collector->last_ms);
        if (now - start >= idle_ms && now - last >= idle_ms)
            return;
        sleep_ms(POLL_MS);
    }
}

void rc_sim_collector_stop(struct rc_sim_collector *collector)
{
    rc_consumer_stop(collector->consumer);
    collector->consumer = NULL;
}
