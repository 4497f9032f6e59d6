#include "control/control_declared.h"

#include "auth/certificate.h"
#include "control/control_flows.h"

#include <openssl/x509v3.h>
#include <stdio.h>

enum { TAGS_MAX = 20 }; /* of one resource */

static void add_credentials(struct rc_control_builder *builder, const struct rc_config_instance *instance)
{
    const struct rc_config_credential *list = instance->credentials.items;
    for (uint32_t i = 0; i < instance->credentials.count; i++) {
        struct rc_slice client_id = rc_slice_str(list[i].client_id.text), group, device;
        int err = RC_OK;
        rc_catalog_split_client_id(client_id, &group, &device);
        if (rc_instance_group(builder->instance, group) == NULL) {
            rc_control_refuse_group(builder, instance, list[i].client_id.at, "credentials", i, group);
            continue;
        }
        if (rc_instance_credential(builder->instance, client_id) != NULL)
            err = RC_ERR_EXISTS;
        else
            err =
                rc_catalog_put_credential(builder->instance, client_id, rc_slice_str(list[i].access_key.text),
                                          rc_slice_str(list[i].secret_key.text));
        rc_control_check_added(builder, err, &list[i].client_id, "credentials", i, "client");
    }
}

/* ---- custom identities ---- */

static void add_identities(struct rc_control_builder *builder, const struct rc_config_list *identities)
{
    const struct rc_config_identity *list = identities->items;
    for (uint32_t i = 0; i < identities->count; i++) {
        struct rc_slice user = rc_slice_str(list[i].user.text), client = rc_slice_str(list[i].client.text);
        int err = RC_ERR_EXISTS;
        if (rc_instance_exact_identity(builder->instance, user, client) == NULL)
            err = rc_catalog_put_identity(builder->instance, user, client, rc_slice_str(list[i].secret.text),
                                          list[i].is_signed);
        rc_control_check_added(builder, err, &list[i].user, "identities", i, "user");
    }
}

static void add_permission(struct rc_control_builder *builder, const struct rc_config_acl *acl,
                           uint32_t index)
{
    const struct rc_config_text *topics = acl->topics.items;
    bool is_client = acl->client.text[0] != '\0';
    struct rc_slice who = rc_slice_str(is_client ? acl->client.text : acl->user.text);
    for (uint32_t i = 0; i < acl->topics.count; i++) {
        struct rc_custom_permission permission = {
            rc_slice_str(topics[i].text), rc_control_actions(acl->access), acl->access >= RC_CONFIG_DENY};
        int err = RC_ERR_EXISTS;
        if (rc_instance_permission(builder->instance, is_client, who, permission.topic) == NULL)
            err = rc_catalog_put_permission(builder->instance, is_client, who, &permission);
        rc_control_check_added(builder, err, &topics[i], "permissions", index, "topic");
    }
}

static void add_permissions(struct rc_control_builder *builder, const struct rc_config_list *permissions)
{
    const struct rc_config_acl *list = permissions->items;
    for (uint32_t i = 0; i < permissions->count; i++) {
        bool has_user = list[i].user.text[0] != '\0', has_client = list[i].client.text[0] != '\0';
        const struct rc_config_text *at = has_user || !has_client ? &list[i].user : &list[i].client;
        if (has_user == has_client)
            rc_control_refuse(builder, at->at, "permissions", i,
                              has_user ? "`user` and `client` were given, one of them was expected"
                                       : "neither `user` nor `client` was given, one of them was expected");
        else if (list[i].topics.count == 0)
            rc_control_refuse(builder, at->at, "permissions", i,
                              "no `topics` were given, one at least was expected");
        else
            add_permission(builder, &list[i], i);
    }
}

static void add_blacklist(struct rc_control_builder *builder, const struct rc_config_list *blacklist)
{
    const struct rc_config_text *list = blacklist->items;
    for (uint32_t i = 0; i < blacklist->count; i++) {
        struct rc_slice client_id = rc_slice_str(list[i].text);
        bool is_twice = rc_instance_mark(&builder->instance->black, client_id) != NULL;
        rc_control_check_added(builder, is_twice ? RC_ERR_EXISTS : RC_OK, &list[i], "blacklist", i, "client");
        rc_catalog_put_mark(&builder->instance->black, client_id, INT64_MAX);
    }
}

/* ---- certificates ---- */

static void free_x509(void *certificate)
{
    X509_free(certificate);
}

/* NULL after a refusal; what it is refused for is told without its text. */
static X509 *read_certificate(struct rc_control_builder *builder, const struct rc_config_text *pem,
                              uint32_t index, char sn[RC_CATALOG_SN_MAX + 1])
{
    X509 *certificate = rc_certificate_read(rc_slice_str(pem->text));
    if (certificate != NULL && rc_certificate_sn(certificate, sn))
        return certificate;
    rc_control_refuse(builder, pem->at, "cas", index,
                      certificate == NULL
                          ? "the text of `certificate` is no certificate in PEM; one that begins with "
                            "-----BEGIN CERTIFICATE----- was expected"
                          : "the certificate's serial number is negative or has more than 32 bytes");
    X509_free(certificate);
    return NULL;
}

static void add_devices(struct rc_control_builder *builder, const struct rc_config_ca *ca, uint32_t index,
                        X509 *authority, const char *ca_sn)
{
    const struct rc_config_device_certificate *list = ca->devices.items;
    for (uint32_t i = 0; i < ca->devices.count; i++) {
        char sn[RC_CATALOG_SN_MAX + 1], key[RC_CERTIFICATE_KEY_MAX + 1];
        X509 *certificate = read_certificate(builder, &list[i].certificate, index, sn);
        if (certificate == NULL)
            continue;
        snprintf(key, sizeof(key), "%s/%s", ca_sn, sn);
        if (X509_verify(certificate, X509_get0_pubkey(authority)) != 1)
            rc_control_refuse(builder, list[i].certificate.at, "cas", index,
                              "a device's certificate is not signed by this CA");
        else if (rc_catalog_declare_certificate(builder->instance, rc_slice_str(key), rc_slice("", 0),
                                                rc_slice_str(list[i].certificate.text),
                                                list[i].is_active) != RC_OK)
            rc_control_refuse(builder, list[i].certificate.at, "cas", index,
                              "a device's certificate was given before, once was expected");
        else
            rc_catalog_put_mark(&builder->instance->devices, rc_slice_str(key),
                                list[i].is_active ? 0 : INT64_MAX);
        X509_free(certificate);
    }
}

static void add_cas(struct rc_control_builder *builder, const struct rc_config_list *cas)
{
    const struct rc_config_ca *list = cas->items;
    for (uint32_t i = 0; i < cas->count; i++) {
        char sn[RC_CATALOG_SN_MAX + 1];
        X509 *certificate = read_certificate(builder, &list[i].certificate, i, sn);
        if (certificate == NULL)
            continue;
        if (X509_check_ca(certificate) == 0) {
            rc_control_refuse(builder, list[i].certificate.at, "cas", i,
                              "the certificate is not a CA's (basicConstraints CA:TRUE)");
        } else if (rc_catalog_declare_certificate(
                       builder->instance, rc_slice_str(sn), rc_slice_str(list[i].name.text),
                       rc_slice_str(list[i].certificate.text), list[i].is_active) != RC_OK) {
            rc_control_refuse(builder, list[i].certificate.at, "cas", i,
                              "a CA of that serial number was given before, once was expected");
        } else {
            add_devices(builder, &list[i], i, certificate, sn);
            rc_catalog_put_ca(builder->instance, rc_slice_str(sn), certificate, free_x509, list[i].is_active);
            continue; /* it is the catalog's now */
        }
        X509_free(certificate);
    }
}

/* ---- tags, and the endpoint's names ---- */

static uint32_t count_tags(const struct rc_instance *instance, struct rc_slice group)
{
    struct rc_trie_walk walk;
    const struct rc_tag *tag;
    uint32_t count = 0;
    rc_trie_walk_start(&walk, &instance->tags);
    while ((tag = rc_trie_walk_next(&walk)) != NULL)
        count += rc_slice_eq(tag->group, group);
    return count;
}

static void add_tags(struct rc_control_builder *builder, const struct rc_config_instance *instance)
{
    const struct rc_config_tag *list = instance->tags.items;
    for (uint32_t i = 0; i < instance->tags.count; i++) {
        struct rc_slice group = rc_slice_str(list[i].group.text);
        if (group.len > 0 && rc_instance_group(builder->instance, group) == NULL) {
            rc_control_refuse_group(builder, instance, list[i].group.at, "tags", i, group);
            continue;
        }
        int err = rc_catalog_declare_tag(builder->instance, group, rc_slice_str(list[i].key.text),
                                         rc_slice_str(list[i].value.text));
        rc_control_check_added(builder, err, &list[i].key, "tags", i, "tag");
        if (count_tags(builder->instance, group) > TAGS_MAX)
            rc_control_refuse(builder, list[i].key.at, "tags", i,
                              "20 tags were given before for the same, no more were expected");
    }
}

/* Such a name is one instance's. `known` has those of all. */
static void add_name(struct rc_control_builder *builder, struct rc_trie *names, struct rc_map *known,
                     const struct rc_config_text *name, uint32_t queues, const char *list, uint32_t index)
{
    struct rc_slice text = rc_slice_str(name->text);
    bool is_topic = known == &builder->topics;
    if (is_topic && rc_catalog_is_system_topic(text)) {
        rc_control_refuse(builder, name->at, list, index, RC_CONTROL_SYSTEM_TOPIC);
        return;
    }
    int err = rc_map_find(known, text) != NULL ? RC_ERR_EXISTS : rc_catalog_declare_name(names, text, queues);
    rc_control_check_added(builder, err, name, list, index, is_topic ? "topic" : "consumer group");
    if (err == RC_OK)
        rc_map_insert(known, rc_trie_find(names, text));
}

static void add_endpoint(struct rc_control_builder *builder, const struct rc_config_endpoint *endpoint)
{
    const struct rc_config_endpoint_topic *topics = endpoint->topics.items;
    const struct rc_config_text *groups = endpoint->groups.items;
    for (uint32_t i = 0; i < endpoint->topics.count; i++)
        add_name(builder, &builder->instance->endpoint_topics, &builder->topics, &topics[i].name,
                 (uint32_t)topics[i].queues, "rocketmq.topics", i);
    for (uint32_t i = 0; i < endpoint->groups.count; i++)
        add_name(builder, &builder->instance->endpoint_groups, &builder->groups, &groups[i], 0,
                 "rocketmq.groups", i);
}

void rc_control_add_declared(struct rc_control_builder *builder, const struct rc_config_instance *instance)
{
    add_credentials(builder, instance);
    add_identities(builder, &instance->identities);
    add_permissions(builder, &instance->permissions);
    add_blacklist(builder, &instance->blacklist);
    add_cas(builder, &instance->cas);
    add_tags(builder, instance);
    add_endpoint(builder, &instance->rocketmq);
}
