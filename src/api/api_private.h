/* What the files of this room share. All of it on the API's thread. */
#ifndef RC_API_API_PRIVATE_H
#define RC_API_API_PRIVATE_H

#include "api/api.h"
#include "api/nonces.h"
#include "api/openapi_call.h"
#include "api/rate_limit.h"
#include "api/readiness.h"
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
    struct rc_readiness readiness;
    uint64_t refusals_second; /* in which so many refused calls came */
    uint32_t refusals;
    uint32_t questions; /* under way to other threads, all kinds */
    uint32_t searches, replays, looks, trials;
    atomic_bool trials_end;         /* read by their threads */
    uint64_t errors[RC_API_ERRORS]; /* answered, by enum rc_api_error */
    char *document;                 /* /openapi.json */
    bool is_stopping;               /* what takes long ends early */
};

/* ---- openapi.c ---- */
/* Answers a call of the OpenAPI, now or later. */
void rc_openapi_handle(struct rc_api *api, struct rc_http_request *request);

/* ---- dispatch.c ---- */
/* Answers a call whose key is known, now or later. */
void rc_api_dispatch(struct rc_api_call *call);

/* ---- metrics.c ---- */
/* The Prometheus text format. */
void rc_metrics_write(const struct rc_api *api, struct rc_buf *out);

#endif
