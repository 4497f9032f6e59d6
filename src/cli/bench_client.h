/*
 * MQTT clients for `rollcall bench`: many on one loop, cheap, and quick to write many packets with one call.
 * One thread.
 */
#ifndef RC_CLI_BENCH_CLIENT_H
#define RC_CLI_BENCH_CLIENT_H

#include "mqtt/packet.h"
#include "net/address.h"
#include "net/output.h"
#include "net/tls_context.h"
#include "net/websocket_client.h"

enum { RC_BENCH_PACKET_MAX = 2 * 1024 * 1024, RC_BENCH_CLIENT_ID_MAX = 256, RC_BENCH_USER_MAX = 1024 };

enum rc_bench_state {
    RC_BENCH_DIALING,
    RC_BENCH_SHAKING,   /* the TLS handshake */
    RC_BENCH_UPGRADING, /* to WebSocket */
    RC_BENCH_ASKING,    /* CONNECT is sent */
    RC_BENCH_UP,
    RC_BENCH_LEAVING, /* DISCONNECT is sent, the server is to close */
};

struct rc_bench_net;

struct rc_bench_client {
    struct rc_stream stream;
    struct rc_output output;
    struct rc_list all;                 /* in the net's list */
    struct rc_list dirty;               /* linked while there is something to flush at the turn's end */
    struct rc_buf in;                   /* an unfinished packet, or answer to the upgrade */
    struct rc_websocket_reader *frames; /* owned; NULL without WebSocket */
    struct rc_bench_net *net;
    uint64_t begun_ns; /* when it was to begin */
    uint32_t number;
    uint32_t unacked;       /* own PUBLISH packets under way */
    uint32_t subscriptions; /* asked for and not yet granted */
    uint16_t packet_id;
    uint8_t state;
};

/* What happens to a client. It may be left or published from in each but on_end, behind which it is freed. */
struct rc_bench_events {
    void (*on_up)(struct rc_bench_client *client);
    void (*on_subscribed)(struct rc_bench_client *client);
    void (*on_message)(struct rc_bench_client *client, const struct rc_mqtt_publish *publish);
    void (*on_acked)(struct rc_bench_client *client);
    void (*on_end)(struct rc_bench_client *client);
};

struct rc_bench_net {
    /* set by the caller */
    struct rc_loop *loop;
    const struct rc_bench_events *events;
    void *owner; /* the caller's */
    struct rc_address server;
    struct rc_tls *tls;   /* of rc_tls_create_client; NULL: none */
    const char *tls_name; /* whom the server's certificate must be for */
    const char *path;     /* of WebSocket; NULL: none */
    uint32_t sources;     /* loopback addresses to come from, 0: whatever the kernel takes */
    uint8_t version;
    bool is_clean;
    uint16_t keep_alive_s;
    char client_id_prefix[RC_BENCH_CLIENT_ID_MAX];
    char user[RC_BENCH_USER_MAX]; /* "" for none */
    const char *password;         /* NULL: none, or signed with `secret` */
    const char *secret;
    /* its own */
    struct rc_list all, dirty;
    struct rc_buf packet;
    uint32_t next_source;
    uint8_t *scratch;
    struct rc_error tls_error; /* of the last handshake that failed; "" for none */
};

void rc_bench_net_init(struct rc_bench_net *net);
/* Cuts all clients (without on_end). */
void rc_bench_net_free(struct rc_bench_net *net);
/* Writes what the turn has collected. */
void rc_bench_net_flush(struct rc_bench_net *net);

/* NULL when the kernel gives no socket. The caller has set begun_ns to the time that it was due at. */
struct rc_bench_client *rc_bench_client_start(struct rc_bench_net *net, uint32_t number, uint64_t begun_ns);
/* Bytes are sent at rc_bench_net_flush. */
void rc_bench_client_subscribe(struct rc_bench_client *client, const char *topic, uint8_t qos);
void rc_bench_client_publish(struct rc_bench_client *client, const char *topic, uint8_t qos,
                             struct rc_slice payload);
/* DISCONNECT, then on_end when the server has closed. */
void rc_bench_client_leave(struct rc_bench_client *client);

#endif
