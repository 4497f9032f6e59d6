#include "session_store/session_store.h"
#include "api/api.h"

#include "api/api_private.h"
#include "api/legacy.h"
#include "api/rest.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "net/tls_context.h"

#include <stdio.h>
#include <unistd.h>

/* RC_RULES_MAX rules with their 18 lines of up to 400 bytes, and what else there is. */
enum { METRICS_MAX = 8 << 20 };

/* ---- routes ---- */

static void answer_text(struct rc_http_request *request, unsigned status, const char *text)
{
    rc_http_answer(request, status, "text/plain; charset=utf-8", rc_slice_str(text));
}

static void answer_metrics(struct rc_api *api, struct rc_http_request *request)
{
    struct rc_buf out;
    rc_buf_init(&out, METRICS_MAX);
    rc_metrics_write(api, &out);
    rc_http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8", rc_buf_slice(&out));
    rc_buf_free(&out);
}

static char *make_document(void)
{
    json_t *document = rc_rest_document();
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    return text;
}

/* Ready for clients, whose events and sessions can be written, and for those who change what there is. */
static void answer_ready(struct rc_api *api, struct rc_http_request *request)
{
    const char *problem = rc_readiness_problem(&api->readiness);
    if (rc_log_writer_is_blocked(api->options.writer))
        answer_text(request, 503, "the log takes no more (disk full?)\n");
    else if (api->options.sessions != NULL && rc_session_store_is_blocked(api->options.sessions))
        answer_text(request, 503, "the session store takes no more (disk or mqtt.sessions.max_size full?)\n");
    else if (problem != NULL)
        answer_text(request, 503, problem);
    else
        answer_text(request, 200, "ok\n");
}

static void on_request(struct rc_http_request *request, void *owner)
{
    struct rc_api *api = owner;
    if (rc_rest_handle(api, request) || rc_legacy_handle(api, request))
        return;
    bool is_read = request->method == RC_HTTP_GET || request->method == RC_HTTP_HEAD;
    if (rc_slice_eq_str(request->path, "/"))
        rc_openapi_handle(api, request);
    else if (!is_read)
        answer_text(request, 405, "this is only read\n");
    else if (rc_slice_eq_str(request->path, "/healthz"))
        answer_text(request, 200, "ok\n");
    else if (rc_slice_eq_str(request->path, "/readyz"))
        answer_ready(api, request);
    else if (rc_slice_eq_str(request->path, "/openapi.json"))
        rc_http_answer(request, 200, "application/json",
                       rc_slice_str(api->document != NULL ? api->document : "{}"));
    else if (rc_slice_eq_str(request->path, "/metrics"))
        answer_metrics(api, request);
    else
        answer_text(request, 404, "there is nothing here\n");
}

static void on_accept(struct rc_listener *listener, int fd, const struct rc_address *peer)
{
    struct rc_api *api = listener->owner;
    rc_http_server_accept(api->http, fd, peer, NULL);
}

static void on_tls_accept(struct rc_listener *listener, int fd, const struct rc_address *peer)
{
    struct rc_api *api = listener->owner;
    rc_tls_relay_accept(api->https, fd, peer);
}

/* ---- mail ---- */

struct catalog_mail {
    struct rc_mail mail;
    struct rc_api *api;
    struct rc_catalog *catalog;
};

static void on_catalog(struct rc_mail *mail, struct rc_loop *loop)
{
    struct catalog_mail *letter = rc_container_of(mail, struct catalog_mail, mail);
    rc_catalog_unref(letter->api->catalog);
    letter->api->catalog = letter->catalog;
    free(letter);
}

void rc_api_post_catalog(struct rc_api *api, struct rc_catalog *catalog)
{
    struct catalog_mail *letter = rc_new(struct catalog_mail);
    *letter =
        (struct catalog_mail){.mail.deliver = on_catalog, .api = api, .catalog = rc_catalog_ref(catalog)};
    rc_loop_post(api->loop, &letter->mail);
}

struct tls_mail {
    struct rc_mail mail;
    struct rc_api *api;
    struct rc_tls *tls;
};

static void on_tls(struct rc_mail *mail, struct rc_loop *loop)
{
    struct tls_mail *letter = rc_container_of(mail, struct tls_mail, mail);
    rc_tls_relay_set_tls(letter->api->https, letter->tls);
    rc_tls_unref(letter->tls);
    free(letter);
}

void rc_api_post_tls(struct rc_api *api, struct rc_tls *tls)
{
    if (api->https == NULL || tls == NULL)
        return;
    struct tls_mail *letter = rc_new(struct tls_mail);
    *letter = (struct tls_mail){.mail.deliver = on_tls, .api = api, .tls = rc_tls_ref(tls)};
    rc_loop_post(api->loop, &letter->mail);
}

void rc_api_sync(struct rc_api *api)
{
    rc_loop_sync(api->loop);
}

/* ---- life ---- */

void rc_api_free(struct rc_api *api)
{
    if (api == NULL)
        return;
    rc_listener_stop(&api->listener);
    rc_listener_stop(&api->tls_listener);
    rc_tls_relay_destroy(api->https);
    rc_http_server_destroy(api->http);
    rc_loop_destroy(api->loop);
    rc_nonces_free(&api->nonces);
    rc_rate_limit_free(&api->rates);
    rc_catalog_unref(api->catalog);
    free(api->document);
    free(api);
}

static int listen_on(struct rc_api *api, struct rc_listener *listener,
                     void (*accept)(struct rc_listener *, int, const struct rc_address *), int *fd)
{
    listener->on_accept = accept;
    listener->owner = api;
    int err = rc_listener_start(listener, api->loop, *fd);
    if (err == RC_OK)
        *fd = -1;
    return err;
}

static int start(struct rc_api *api, struct rc_error *error)
{
    int err = rc_loop_create("rc-api", &api->loop);
    if (err != RC_OK)
        return rc_error_set(error, err, "the API's loop: %s", rc_err_text(err));
    struct rc_http_options http = {.loop = api->loop, .handler = on_request, .owner = api};
    err = rc_http_server_create(&http, &api->http, error);
    if (err != RC_OK)
        return err;
    err = listen_on(api, &api->listener, on_accept, &api->options.listen_fd);
    if (err == RC_OK && api->options.tls != NULL) {
        api->https = rc_tls_relay_create(api->loop, api->http, api->options.tls);
        err = listen_on(api, &api->tls_listener, on_tls_accept, &api->options.tls_listen_fd);
    }
    if (err != RC_OK)
        return rc_error_set(error, err, "the API's listener: %s", rc_err_text(err));
    rc_readiness_start(&api->readiness, api);
    err = rc_loop_start_thread(api->loop);
    return err == RC_OK ? RC_OK : rc_error_set(error, err, "the API's thread: %s", rc_err_text(err));
}

int rc_api_start(const struct rc_api_options *options, struct rc_api **ret, struct rc_error *error)
{
    struct rc_api *api = rc_new(struct rc_api);
    api->options = *options;
    api->catalog = rc_catalog_ref(options->catalog);
    api->document = make_document();
    rc_nonces_init(&api->nonces);
    rc_rate_limit_init(&api->rates);
    int err = start(api, error);
    rc_tls_unref(options->tls);
    api->options.tls = NULL;
    if (err != RC_OK) {
        if (api->options.listen_fd != -1)
            close(api->options.listen_fd);
        if (api->options.tls_listen_fd != -1)
            close(api->options.tls_listen_fd);
        rc_api_free(api);
        return err;
    }
    *ret = api;
    return RC_OK;
}

struct stop_mail {
    struct rc_mail mail;
    struct rc_api *api;
};

static void on_stop(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_api *api = rc_container_of(mail, struct stop_mail, mail)->api;
    rc_listener_stop(&api->listener);
    rc_listener_stop(&api->tls_listener);
    api->is_stopping = true;
    atomic_store(&api->trials_end, true);
    rc_readiness_stop(&api->readiness);
    if (api->questions > 0) /* the shards still answer: look again when they have */
        rc_loop_post(loop, mail);
    else
        rc_loop_stop(loop);
}

void rc_api_stop(struct rc_api *api)
{
    if (api == NULL)
        return;
    struct stop_mail letter = {.mail.deliver = on_stop, .api = api};
    rc_loop_post(api->loop, &letter.mail);
    rc_loop_join_thread(api->loop);
}
