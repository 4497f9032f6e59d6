#include "cli/publishing.h"

#include "api/api.h"
#include "base/alloc.h"
#include "base/log.h"
#include "control/control.h"
#include "loop/loop.h"
#include "registry/registry.h"
#include "rocketmq/declared_names.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/tenancy.h"
#include "rules/rules.h"

#include <openssl/pem.h>

/* ---- topics that rules lead to ---- */

int rc_publishing_claim_topic(void *arg, const struct rc_catalog *next, struct rc_slice instance,
                              struct rc_slice topic)
{
    struct rc_publishing *publishing = arg;
    struct rc_tenancy tenancy = {publishing->owners, next, publishing->store, instance, true};
    char owner[RC_CATALOG_ID_MAX + 1];
    return rc_tenancy_claim_topic(&tenancy, topic, owner);
}

/*
 * One that the file declares may lead to what is another's: the operator says so, and its clients' events go
 * there. But who reads them is the owner.
 */
static void claim(struct rc_publishing *publishing, const struct rc_catalog *next, struct rc_slice instance,
                  struct rc_slice topic)
{
    if (rc_publishing_claim_topic(publishing, next, instance, topic) == RC_ERR_DENIED)
        rc_log_warn(
            "rocketmq",
            "a rule of %.*s leads to the topic %.*s, which is another instance's: keys of %.*s do not "
            "reach it",
            RC_SLICE_FMT(instance), RC_SLICE_FMT(topic), RC_SLICE_FMT(instance));
}

static void claim_flows(struct rc_publishing *publishing, const struct rc_catalog *next,
                        struct rc_slice instance, const struct rc_trie *rules)
{
    const struct rc_flow_rule *rule;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL)
        if (rule->target == NULL)
            claim(publishing, next, instance, rule->topic_name);
}

static void claim_topics(struct rc_publishing *publishing, const struct rc_catalog *next)
{
    struct rc_trie_walk instances, rules;
    const struct rc_instance *instance;
    rc_trie_walk_start(&instances, &next->instances);
    while ((instance = rc_trie_walk_next(&instances)) != NULL) {
        const struct rc_status_rule *rule;
        rc_trie_walk_start(&rules, &instance->status_rules);
        while ((rule = rc_trie_walk_next(&rules)) != NULL)
            if (rule->target == NULL)
                claim(publishing, next, instance->id, rule->topic_name);
        claim_flows(publishing, next, instance->id, &instance->outflows);
        claim_flows(publishing, next, instance->id, &instance->inflows);
    }
}

/* ---- before and when it is published ---- */

int rc_publishing_prepare(void *arg, struct rc_catalog *next, struct rc_error *error)
{
    struct rc_publishing *publishing = arg;
    int err = rc_control_resolve_topics(next, publishing->store, error);
    if (err == RC_OK)
        claim_topics(publishing, next);
    err = err ? err : rc_declared_names_apply(publishing->store, publishing->owners, next, error);
    return err ? err : rc_rules_apply(publishing->rules, next, error);
}

/* Its topics are resolved and claimed. What names of the file and inflow rules were stopped begin again. */
void rc_publishing_unprepare(void *arg, struct rc_catalog *stays)
{
    struct rc_publishing *publishing = arg;
    struct rc_error error = {0};
    int err = rc_declared_names_apply(publishing->store, publishing->owners, stays, &error);
    if (err != RC_OK)
        rc_log_error("registry", "what a change had prepared cannot be taken back: %s", error.text);
    err = rc_rules_apply(publishing->rules, stays, &error);
    if (err != RC_OK)
        rc_log_error("registry", "the rules cannot go back to what they were: %s", error.text);
}

void rc_publishing_publish(void *arg, struct rc_catalog *next, const struct rc_catalog_change *change)
{
    struct rc_publishing *publishing = arg;
    for (uint32_t i = 0; i < publishing->shards; i++)
        rc_broker_post_change(publishing->brokers[i], next, change);
    rc_endpoint_post_catalog(publishing->endpoint, next);
    if (publishing->api != NULL)
        rc_api_post_catalog(publishing->api, next);
    for (uint32_t i = 0; i < publishing->shards; i++)
        rc_loop_sync(publishing->loops[i]);
    rc_endpoint_sync(publishing->endpoint);
    if (change->rules_changed)
        rc_rules_published(publishing->rules, next);
}

/* ---- certificates of devices ---- */

struct seen {
    struct rc_registry_job job;
    struct rc_slice instance, ca_sn, content;
    uint8_t bytes[];
};

static int see(struct rc_registry *registry, struct rc_registry_job *job)
{
    const struct seen *seen = rc_container_of(job, struct seen, job);
    return rc_registry_see_device(registry, seen->instance, seen->ca_sn, seen->content, &job->error);
}

static void on_seen(struct rc_registry_job *job)
{
    free(rc_container_of(job, struct seen, job));
}

static struct rc_slice put(uint8_t **at, const void *bytes, size_t len)
{
    struct rc_slice copied = rc_slice(*at, len);
    memcpy(*at, bytes, len);
    *at += len;
    return copied;
}

void rc_publishing_on_certificate(void *arg, struct rc_slice instance, const char *key,
                                  const struct x509_st *certificate)
{
    char *pem;
    size_t ca_len = strcspn(key, "/");
    BIO *bio = BIO_new(BIO_s_mem());
    long len = bio != NULL && PEM_write_bio_X509(bio, (X509 *)(uintptr_t)certificate) == 1
                   ? BIO_get_mem_data(bio, &pem)
                   : 0;
    if (len > 0 && len <= RC_CATALOG_CERTIFICATE_MAX) {
        struct seen *seen = rc_calloc(1, sizeof(*seen) + instance.len + ca_len + (size_t)len);
        uint8_t *at = seen->bytes;
        seen->job.run = see;
        seen->job.on_done = on_seen;
        seen->instance = put(&at, instance.ptr, instance.len);
        seen->ca_sn = put(&at, key, ca_len);
        seen->content = put(&at, pem, (size_t)len);
        if (rc_registry_post(arg, &seen->job) != RC_OK) /* it comes again, and is told again */
            free(seen);
    }
    BIO_free(bio);
}
