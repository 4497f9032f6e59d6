/*
 * Design notes
 * - A connection and its channel are matched by client and address: the port is this side's own. A port that
 * the same client used again is matched in order of time, in which both sides agree.
 * - Where the fleet got no answer (the server died, or took too long) it cannot know whether the server had
 * taken the client in: then a channel with all its events is as right as none.
 */
#include "cli/sim_verify.h"

#include "base/alloc.h"
#include "cli/sim_collect.h"

#include <stdio.h>
#include <stdlib.h>

/* What the log says of one channel. */
struct channel {
    const struct rc_sim_event *first; /* by offset */
    const struct rc_sim_event *connect, *disconnect, *end;
    bool is_repeated, is_disordered;
};

/* ---- sorting ---- */

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_events(const void *x, const void *y)
{
    const struct rc_sim_event *a = x, *b = y;
    int order = COMPARE(a->client, b->client);
    if (order == 0)
        order = COMPARE(a->channel, b->channel);
    if (order == 0)
        order = COMPARE(a->queue, b->queue);
    if (order == 0)
        order = COMPARE(a->offset, b->offset);
    return order ? order : COMPARE(a->arrived_us, b->arrived_us);
}

static int compare_by_offset(const void *x, const void *y)
{
    const struct rc_sim_event *const *a = x, *const *b = y;
    int order = COMPARE((*a)->client, (*b)->client);
    return order ? order : COMPARE((*a)->offset, (*b)->offset);
}

static int compare_keys(uint32_t client_a, uint16_t port_a, const uint8_t *addr_a, uint32_t client_b,
                        uint16_t port_b, const uint8_t *addr_b)
{
    int order = COMPARE(client_a, client_b);
    if (order == 0)
        order = COMPARE(port_a, port_b);
    return order ? order : memcmp(addr_a, addr_b, 16);
}

static int compare_channels(const void *x, const void *y)
{
    const struct rc_sim_event *a = ((const struct channel *)x)->first,
                              *b = ((const struct channel *)y)->first;
    int order = compare_keys(a->client, a->port, a->addr, b->client, b->port, b->addr);
    return order ? order : COMPARE(a->offset, b->offset);
}

static int compare_entries(const void *x, const void *y)
{
    const struct rc_sim_entry *a = *(const struct rc_sim_entry *const *)x;
    const struct rc_sim_entry *b = *(const struct rc_sim_entry *const *)y;
    int order =
        compare_keys(a->client, a->local_port, a->local_addr, b->client, b->local_port, b->local_addr);
    return order ? order : COMPARE(a->dial_us, b->dial_us);
}

static int compare_entry_to_channel(const struct rc_sim_entry *entry, const struct channel *channel)
{
    const struct rc_sim_event *event = channel->first;
    return compare_keys(entry->client, entry->local_port, entry->local_addr, event->client, event->port,
                        event->addr);
}

/* ---- from events to channels ---- */

/* Sorts, and drops what was delivered again: the same place in the log. Keeps the first arrival. */
static void drop_redelivered(struct rc_sim_collector *collector, struct rc_sim_verdict *verdict)
{
    uint32_t kept = 0;
    if (collector->count > 0)
        qsort(collector->events, collector->count, sizeof(*collector->events), compare_events);
    for (uint32_t i = 0; i < collector->count; i++) {
        struct rc_sim_event *event = &collector->events[i], *last = &collector->events[kept ? kept - 1 : 0];
        bool is_again = kept > 0 && last->client == event->client && last->channel == event->channel &&
                        last->queue == event->queue && last->offset == event->offset;
        if (is_again)
            verdict->redelivered++;
        else
            collector->events[kept++] = *event;
    }
    collector->count = kept;
    verdict->events = kept;
    verdict->others = collector->others;
}

static void take_event(struct channel *channel, const struct rc_sim_event *event)
{
    const struct rc_sim_event **slot = &channel->connect;
    if (event->type == RC_CLIENT_EVENT_DISCONNECT)
        slot = &channel->disconnect;
    else if (event->type == RC_CLIENT_EVENT_TCPCLEAN)
        slot = &channel->end;
    if (*slot != NULL)
        channel->is_repeated = true;
    else
        *slot = event;
    /* They come in order of offset: nothing may follow the end, and only the connect comes first. */
    if (event->type == RC_CLIENT_EVENT_CONNECT ? event != channel->first : channel->connect == NULL)
        channel->is_disordered = true;
    if (event != channel->first &&
        (channel->first->queue != event->queue || event->time_ms <= event[-1].time_ms ||
         event[-1].type == RC_CLIENT_EVENT_TCPCLEAN))
        channel->is_disordered = true;
}

static uint32_t make_channels(const struct rc_sim_collector *collector, struct channel *channels)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < collector->count; i++) {
        const struct rc_sim_event *event = &collector->events[i];
        struct channel *last = count ? &channels[count - 1] : NULL;
        if (last == NULL || last->first->client != event->client || last->first->channel != event->channel) {
            last = &channels[count++];
            *last = (struct channel){.first = event};
        }
        take_event(last, event);
    }
    qsort(channels, count, sizeof(*channels), compare_channels);
    return count;
}

/* ---- one connection against its channel ---- */

static bool has_ended(const struct rc_sim_entry *entry)
{
    return entry->end != RC_SIM_END_NONE;
}

static void judge(const struct rc_sim_entry *entry, const struct channel *channel,
                  struct rc_sim_verdict *verdict)
{
    bool said_goodbye = entry->end == RC_SIM_END_LEAVE;
    bool is_good = true;
    if (channel->connect == NULL && ++verdict->missing_connect)
        is_good = false;
    if (has_ended(entry) && channel->end == NULL && ++verdict->missing_end)
        is_good = false;
    if (channel->is_repeated && ++verdict->repeated)
        is_good = false;
    if (channel->is_disordered && ++verdict->disordered)
        is_good = false;
    /* What was still on its way to a server when that was killed has never been said. */
    bool was_unheard = said_goodbye && channel->end != NULL && channel->end->is_recovered;
    if ((channel->disconnect != NULL) != said_goodbye && !was_unheard && ++verdict->wrong_goodbyes)
        is_good = false;
    if (entry->outcome == RC_SIM_ACCEPTED && is_good)
        verdict->complete++;
}

struct latencies {
    uint64_t *connect, *close;
    size_t connects, closes;
};

static void measure(const struct rc_sim_entry *entry, const struct channel *channel,
                    struct latencies *latencies)
{
    bool closed_here =
        entry->end == RC_SIM_END_LEAVE || entry->end == RC_SIM_END_CLOSE || entry->end == RC_SIM_END_CUT;
    if (channel->connect != NULL && channel->connect->arrived_us >= entry->connect_us)
        latencies->connect[latencies->connects++] = channel->connect->arrived_us - entry->connect_us;
    if (closed_here && channel->end != NULL && channel->end->arrived_us >= entry->end_us)
        latencies->close[latencies->closes++] = channel->end->arrived_us - entry->end_us;
}

/* ---- matching ---- */

static uint64_t count_accepted(struct rc_sim_entry *const *entries, uint32_t count)
{
    uint64_t accepted = 0;
    for (uint32_t i = 0; i < count; i++)
        accepted += entries[i]->outcome == RC_SIM_ACCEPTED;
    return accepted;
}

/* Connections and channels of one client and address, both in order of time. */
static void match_group(struct rc_sim_entry *const *entries, uint32_t entries_count,
                        const struct channel *channels, uint32_t channels_count,
                        struct rc_sim_verdict *verdict, struct latencies *latencies)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < entries_count; i++) {
        bool is_accepted = entries[i]->outcome == RC_SIM_ACCEPTED;
        bool is_possible = entries[i]->outcome == RC_SIM_UNANSWERED &&
                           channels_count - at > count_accepted(entries + i, entries_count - i);
        if (is_accepted && at == channels_count) {
            verdict->missing_connect++;
            verdict->missing_end += has_ended(entries[i]);
        } else if (is_accepted || is_possible) {
            judge(entries[i], &channels[at], verdict);
            measure(entries[i], &channels[at++], latencies);
        }
    }
    /* An end alone is that of a connection from before this run. */
    for (; at < channels_count; at++)
        verdict->unexplained += channels[at].connect != NULL;
}

static void match_all(struct rc_sim_entry **entries, uint32_t entries_count, const struct channel *channels,
                      uint32_t channels_count, struct rc_sim_verdict *verdict, struct latencies *latencies)
{
    uint32_t e = 0, c = 0;
    while (e < entries_count || c < channels_count) {
        uint32_t e_end = e, c_end = c;
        int order = e == entries_count    ? 1
                    : c == channels_count ? -1
                                          : compare_entry_to_channel(entries[e], &channels[c]);
        if (order <= 0)
            while (e_end < entries_count &&
                   compare_keys(entries[e]->client, entries[e]->local_port, entries[e]->local_addr,
                                entries[e_end]->client, entries[e_end]->local_port,
                                entries[e_end]->local_addr) == 0)
                e_end++;
        if (order >= 0) {
            const struct rc_sim_event *key = channels[c].first;
            while (c_end < channels_count &&
                   compare_keys(key->client, key->port, key->addr, channels[c_end].first->client,
                                channels[c_end].first->port, channels[c_end].first->addr) == 0)
                c_end++;
        }
        match_group(entries + e, e_end - e, channels + c, c_end - c, verdict, latencies);
        e = e_end;
        c = c_end;
    }
}

/* ---- one client's events, whatever their channel ---- */

static void check_overlaps(const struct rc_sim_collector *collector, struct rc_sim_verdict *verdict)
{
    const struct rc_sim_event **order = rc_calloc(collector->count + 1, sizeof(const struct rc_sim_event *));
    for (uint32_t i = 0; i < collector->count; i++)
        order[i] = &collector->events[i];
    qsort(order, collector->count, sizeof(const struct rc_sim_event *), compare_by_offset);
    uint64_t open_channel = 0;
    bool is_open = false, is_split = false;
    for (uint32_t i = 0; i < collector->count; i++) {
        const struct rc_sim_event *event = order[i];
        if (i == 0 || order[i - 1]->client != event->client) {
            is_open = is_split = false;
        } else if (order[i - 1]->queue != event->queue && !is_split) {
            is_split = true;
            verdict->split++;
        }
        if (event->type == RC_CLIENT_EVENT_CONNECT) {
            verdict->overlapping += is_open;
            is_open = true;
            open_channel = event->channel;
        } else if (event->type == RC_CLIENT_EVENT_TCPCLEAN && event->channel == open_channel) {
            is_open = false;
        }
    }
    free(order);
}

static void check_status(const struct rc_sim_record *record, const struct rc_sim_collector *collector,
                         struct rc_sim_verdict *verdict)
{
    char client_id[RC_SIM_CLIENT_ID_MAX * 2 + 16];
    bool *is_up = rc_calloc(record->clients, sizeof(*is_up));
    for (uint32_t i = 0; i < record->count; i++) {
        const struct rc_sim_entry *entry = &record->entries[i];
        if (entry->outcome == RC_SIM_ACCEPTED && entry->end == RC_SIM_END_NONE)
            is_up[entry->client] = true;
    }
    for (uint32_t i = 0; i < record->clients; i++) {
        rc_sim_client_id(record, i, client_id);
        verdict->wrong_status += rc_client_status_is_online(collector->status, client_id) != is_up[i];
    }
    free(is_up);
}

/* ---- all of it ---- */

void rc_sim_verify(const struct rc_sim_record *record, struct rc_sim_collector *collector, bool is_live,
                   struct rc_sim_verdict *ret)
{
    *ret = (struct rc_sim_verdict){0};
    drop_redelivered(collector, ret);
    struct channel *channels = rc_calloc(collector->count + 1, sizeof(*channels));
    struct rc_sim_entry **entries = rc_calloc(record->count + 1, sizeof(struct rc_sim_entry *));
    struct latencies latencies = {
        .connect = rc_calloc(record->count + 1, sizeof(uint64_t)),
        .close = rc_calloc(record->count + 1, sizeof(uint64_t)),
    };
    uint32_t channels_count = make_channels(collector, channels);
    for (uint32_t i = 0; i < record->count; i++)
        entries[i] = &record->entries[i];
    qsort(entries, record->count, sizeof(struct rc_sim_entry *), compare_entries);
    ret->expected = count_accepted(entries, record->count);
    match_all(entries, record->count, channels, channels_count, ret, &latencies);
    check_overlaps(collector, ret);
    check_status(record, collector, ret);
    if (is_live) {
        ret->connect_to_event = rc_sim_percentiles_of(latencies.connect, latencies.connects);
        ret->close_to_event = rc_sim_percentiles_of(latencies.close, latencies.closes);
    }
    free(latencies.connect);
    free(latencies.close);
    free(entries);
    free(channels);
}

#define FAULTS(X)                                                                                            \
    X(missing_connect, "missingConnect", "connect is missing")                                               \
    X(missing_end, "missingEnd", "tcpclean is missing")                                                      \
    X(repeated, "repeated", "an event stands in the log twice")                                              \
    X(disordered, "disordered", "events out of order")                                                       \
    X(wrong_goodbyes, "wrongGoodbyes", "disconnect without a goodbye, or none")                              \
    X(overlapping, "overlapping", "connect before the end of the last one")                                  \
    X(split, "split", "clients in more than one queue")                                                      \
    X(unexplained, "unexplained", "channels of no connection")                                               \
    X(wrong_status, "wrongStatus", "clients with a wrong status in the end")

bool rc_sim_verdict_is_good(const struct rc_sim_verdict *verdict)
{
    uint64_t faults = 0;
#define X(field, name, text) faults += verdict->field;
    FAULTS(X)
#undef X
    return faults == 0;
}

void rc_sim_verdict_print(const struct rc_sim_verdict *verdict, bool is_live)
{
    char text[160];
    printf("events             %llu, and %llu delivered again, %llu of others\n",
           (unsigned long long)verdict->events, (unsigned long long)verdict->redelivered,
           (unsigned long long)verdict->others);
    printf("connections right  %llu of %llu\n", (unsigned long long)verdict->complete,
           (unsigned long long)verdict->expected);
#define X(field, name, words)                                                                                \
    if (verdict->field > 0)                                                                                  \
        printf("  WRONG            %llu: %s\n", (unsigned long long)verdict->field, words);
    FAULTS(X)
#undef X
    if (!is_live)
        return;
    printf("CONNECT to event   %s\n",
           rc_sim_percentiles_text(&verdict->connect_to_event, text, sizeof(text)));
    printf("close to event     %s\n", rc_sim_percentiles_text(&verdict->close_to_event, text, sizeof(text)));
}

void rc_sim_verdict_json(struct rc_json *json, const struct rc_sim_verdict *verdict, bool is_live)
{
    rc_json_key(json, "events");
    rc_json_object_begin(json);
    rc_json_put_bool(json, "good", rc_sim_verdict_is_good(verdict));
    rc_json_put_int(json, "count", (int64_t)verdict->events);
    rc_json_put_int(json, "redelivered", (int64_t)verdict->redelivered);
    rc_json_put_int(json, "others", (int64_t)verdict->others);
    rc_json_put_int(json, "expected", (int64_t)verdict->expected);
    rc_json_put_int(json, "complete", (int64_t)verdict->complete);
#define X(field, name, text) rc_json_put_int(json, name, (int64_t)verdict->field);
    FAULTS(X)
#undef X
    if (is_live) {
        rc_sim_percentiles_json(json, "connectToEvent", &verdict->connect_to_event);
        rc_sim_percentiles_json(json, "closeToEvent", &verdict->close_to_event);
    }
    rc_json_object_end(json);
}
