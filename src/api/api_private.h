/* What the files of this room share. All of it on the API's thread. */
#ifndef RC_API_API_PRIVATE_H
#define RC_API_API_PRIVATE_H

#include "api/api.h"
#include "api/nonces.h"
#include "api/openapi_call.h"
#include "api/rate_limit.h"
#include "http/http_server.h"
#include "http/tls_relay.h"
#include "net/listener.h"

struct rc_api {
    struct rc_api_options options;
    struct rc_loop *loop;
    struct rc_http_server *http;
    struct rc_tls_relay *https; /* NULL without */
    struct rc_listener listener, tls_listener;
    struct rc_catalog *catalog;
    struct rc_nonces nonces;
    struct rc_rate_limit rates;
    uint32_t questions; /* under way to other threads, all kinds */
    uint32_t searches, replays, looks;
    bool is_stopping; /* what takes long ends early */
};

/* ---- openapi.c ---- */
/* Answers a call of the OpenAPI, now or later. */
void rc_openapi_handle(struct rc_api *api, struct rc_http_request *request);

/* One action. `instance` names the parameter that holds the instance id, NULL when it takes none. */
struct rc_api_action {
    const char *name;
    bool may_get, may_post;
    uint16_t per_second; /* of one key */
    const char *instance;
    bool is_own; /* Rollcall's: without the parameter it is about the key's instance */
    void (*run)(struct rc_api_call *call);
};
/* NULL when there is none. ---- openapi_actions.c ---- */
const struct rc_api_action *rc_api_action_find(const char *name);

/* ---- actions_session.c ---- */
void rc_action_query_session(struct rc_api_call *call);
void rc_action_batch_query_session(struct rc_api_call *call);
void rc_action_describe_clients(struct rc_api_call *call);
void rc_action_close_connection(struct rc_api_call *call);
void rc_action_list_online_clients(struct rc_api_call *call);
void rc_action_count_online_clients(struct rc_api_call *call);

/* ---- actions_trace.c ---- */
void rc_action_trace_device(struct rc_api_call *call);
void rc_action_trace_message(struct rc_api_call *call);

/* ---- actions_rule.c ---- */
void rc_action_list_rules(struct rc_api_call *call);
void rc_action_replay_rule(struct rc_api_call *call);

/* ---- actions_instance.c ---- */
void rc_action_list_instances(struct rc_api_call *call);
void rc_action_list_groups(struct rc_api_call *call);

/* ---- metrics.c ---- */
/* The Prometheus text format. */
void rc_metrics_write(const struct rc_api *api, struct rc_buf *out);

#endif
