#include "control/control_transports.h"

#include "base/alloc.h"
#include "net/transport.h"

#include <stdio.h>

struct builder {
    const struct rc_config *config;
    struct rc_config_errors *errors;
    const char *prefix; /* of the keys that are told */
    uint32_t index;     /* of the listener */
};

static void refuse(struct builder *builder, struct rc_config_at at, const char *key, const char *what)
{
    char path[128];
    if (builder->prefix != NULL)
        snprintf(path, sizeof(path), "%s.%s", builder->prefix, key);
    else
        snprintf(path, sizeof(path), "mqtt.listeners[%u].%s", builder->index, key);
    rc_config_errors_add(builder->errors, builder->config->file, at, path, "%s", what);
}

/* ---- TLS ---- */

static bool has_version(const struct rc_config_list *versions, const char *name)
{
    const struct rc_config_text *texts = versions->items;
    for (uint32_t i = 0; i < versions->count; i++) {
        if (strcmp(texts[i].text, name) == 0)
            return true;
    }
    return versions->count == 0;
}

static void refuse_tls(struct builder *builder, const struct rc_config_tls *tls,
                       const struct rc_tls_fault *fault, const struct rc_error *error)
{
    const struct rc_config_certificate *pair =
        &((const struct rc_config_certificate *)tls->certificates.items)[fault->pair];
    char key[64];
    switch (fault->part) {
    case RC_TLS_PART_CERTIFICATE:
    case RC_TLS_PART_KEY:
        snprintf(key, sizeof(key), "tls.certificates[%u].%s", fault->pair,
                 fault->part == RC_TLS_PART_KEY ? "key" : "certificate");
        refuse(builder, fault->part == RC_TLS_PART_KEY ? pair->key.at : pair->certificate.at, key,
               error->text);
        break;
    case RC_TLS_PART_CLIENT_CA:
        refuse(builder, tls->client_ca.at, "tls.client_ca", error->text);
        break;
    case RC_TLS_PART_CIPHERS:
        refuse(builder, tls->ciphers.at, "tls.ciphers", error->text);
        break;
    case RC_TLS_PART_CIPHERSUITES:
        refuse(builder, tls->ciphersuites.at, "tls.ciphersuites", error->text);
        break;
    }
}

static struct rc_tls *create_tls(struct builder *builder, const struct rc_config_tls *tls)
{
    struct rc_tls_pair pairs[RC_TLS_CERTIFICATES_MAX];
    const struct rc_config_certificate *certificates = tls->certificates.items;
    for (uint32_t i = 0; i < tls->certificates.count; i++)
        pairs[i] = (struct rc_tls_pair){certificates[i].certificate.text, certificates[i].key.text};
    struct rc_tls_settings settings = {
        .pairs = pairs,
        .count = tls->certificates.count,
        .client_ca = tls->client_ca.text,
        .client_certificate = (enum rc_tls_client_certificate)tls->client_certificate,
        .has_tls12 = has_version(&tls->versions, "tls1.2"),
        .has_tls13 = has_version(&tls->versions, "tls1.3"),
        .ciphers = tls->ciphers.text,
        .ciphersuites = tls->ciphersuites.text,
        .kernel_tls = tls->kernel_tls,
    };
    struct rc_tls *ret = NULL;
    struct rc_tls_fault fault;
    struct rc_error error = {.text = ""};
    if (rc_tls_create(&settings, &ret, &fault, &error) != RC_OK)
        refuse_tls(builder, tls, &fault, &error);
    return ret;
}

/* NULL after an error was told. `at` is where the listener stands. */
static struct rc_tls *build_tls(struct builder *builder, const struct rc_config_tls *tls,
                                struct rc_config_at at)
{
    bool needs_ca = tls->client_certificate == RC_TLS_CLIENT_OPTIONAL ||
                    tls->client_certificate == RC_TLS_CLIENT_REQUIRED;
    if (tls->certificates.count == 0) {
        refuse(
            builder, at, "tls.certificates",
            "nothing was given, a list of certificates with their keys was expected: the transport is TLS");
        return NULL;
    }
    if (needs_ca && tls->client_ca.text[0] == '\0') {
        refuse(builder, at, "tls.client_ca",
               "nothing was given, a file was expected: clients are asked for certificates");
        return NULL;
    }
    return create_tls(builder, tls);
}

/* ---- one listener ---- */

static void add_trusted(const struct rc_config_list *list, struct rc_transport *transport)
{
    const struct rc_config_text *texts = list->items;
    transport->trusted = rc_calloc(list->count, sizeof(transport->trusted[0]));
    for (uint32_t i = 0; i < list->count; i++) {
        if (rc_cidr_parse(rc_slice_str(texts[i].text), &transport->trusted[transport->trusted_count]))
            transport->trusted_count++; /* as the reading has seen to */
    }
}

static uint32_t at_most_u32(int64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void check_name(struct builder *builder, const struct rc_config_listener *listeners)
{
    const struct rc_config_listener *listener = &listeners[builder->index];
    for (uint32_t i = 0; i < builder->index; i++) {
        if (strcmp(listeners[i].name.text, listener->name.text) == 0) {
            char what[160];
            snprintf(what, sizeof(what), "the name '%s' was given before, once was expected",
                     listener->name.text);
            refuse(builder, listener->name.at, "name", what);
            return;
        }
    }
}

/* A single read may take 64 KiB: at a lower rate a client would rest longer than its keep-alive lasts. */
static void check_rate(struct builder *builder, const struct rc_config_listener *listener)
{
    enum { LEAST = 16 * 1024 };
    if (listener->limits.bytes_per_second > 0 && listener->limits.bytes_per_second < LEAST)
        refuse(builder, listener->name.at, "limits.bytes_per_second",
               "a rate below 16KiB was given, 16KiB or more was expected, or 0 for none");
}

static struct rc_transport *build_one(struct builder *builder, const struct rc_config_listener *listener)
{
    enum rc_transport_kind kind = (enum rc_transport_kind)listener->transport;
    struct rc_transport *transport = rc_transport_create(kind, listener->name.text);
    check_rate(builder, listener);
    if (kind == RC_TRANSPORT_TLS || kind == RC_TRANSPORT_WSS)
        transport->tls = build_tls(builder, &listener->tls, listener->name.at);
    if (kind == RC_TRANSPORT_WS || kind == RC_TRANSPORT_WSS)
        transport->path = rc_strdup(listener->websocket.path.text);
    if (listener->proxy_protocol.trusted.count > 0)
        add_trusted(&listener->proxy_protocol.trusted, transport);
    transport->limits = (struct rc_transport_limits){
        .connections = at_most_u32(listener->limits.connections),
        .connections_per_second = at_most_u32(listener->limits.connections_per_second),
        .handshakes = at_most_u32(listener->limits.handshakes),
        .bytes_per_second = at_most_u32(listener->limits.bytes_per_second),
    };
    return transport;
}

bool rc_control_build_transports(const struct rc_config *config, struct rc_transports *ret,
                                 struct rc_config_errors *errors)
{
    const struct rc_config_list *list = &config->mqtt.listeners;
    const struct rc_config_listener *listeners = list->items;
    struct builder builder = {.config = config, .errors = errors};
    uint32_t errors_before = errors->count;
    struct rc_transports transports = {.items = rc_calloc(list->count + 1, sizeof(struct rc_transport *))};
    for (; transports.count < list->count; transports.count++) {
        builder.index = transports.count;
        check_name(&builder, listeners);
        transports.items[transports.count] = build_one(&builder, &listeners[transports.count]);
    }
    builder.prefix = "http";
    if (config->http.is_enabled && config->http.tls_bind.text[0] != '\0')
        transports.https = build_tls(&builder, &config->http.tls, config->http.tls_bind.at);
    if (errors->count == errors_before) {
        *ret = transports;
        return true;
    }
    rc_transports_free(&transports);
    return false;
}

void rc_transports_free(struct rc_transports *transports)
{
    for (uint32_t i = 0; i < transports->count; i++)
        rc_transport_unref(transports->items[i]);
    rc_tls_unref(transports->https);
    free(transports->items);
    *transports = (struct rc_transports){0};
}
