/* A cluster's connections: one for each address, made when first needed, kept until the cluster goes. */
#include "base/alloc.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

static char *text_of(struct rc_slice slice)
{
    return (char *)rc_strndup(slice.ptr, slice.len);
}

static void split_nameservers(struct rc_cluster *cluster)
{
    char *rest = cluster->pieces = rc_strdup(cluster->nameservers_text), *one;
    while ((one = strsep(&rest, ";")) != NULL && cluster->nameservers_count < RC_RULES_NAMESERVERS_MAX)
        cluster->nameservers[cluster->nameservers_count++] = one;
}

int rc_cluster_tls(const struct rc_target *target, struct rc_tls **ret, struct rc_error *error)
{
    *ret = NULL;
    if (!target->has_tls)
        return RC_OK;
    char *ca = text_of(target->tls_ca), *certificate = text_of(target->tls_certificate),
         *key = text_of(target->tls_key);
    struct rc_tls_client_settings settings = {ca, certificate, key, target->is_tls_unverified};
    int err = rc_tls_create_client(&settings, ret, error);
    free(ca);
    free(certificate);
    free(key);
    return err;
}

struct rc_cluster *rc_cluster_create(struct rc_loop *loop, const struct rc_target *target,
                                     struct rc_error *error)
{
    struct rc_cluster *cluster = rc_new(struct rc_cluster);
    cluster->name = text_of(target->name);
    cluster->nameservers_text = text_of(target->nameservers);
    cluster->access_key = text_of(target->access_key);
    cluster->secret_key = text_of(target->secret_key);
    cluster->name_space = text_of(target->name_space);
    cluster->tls_name = text_of(target->tls_name);
    cluster->has_tls = target->has_tls;
    cluster->tls_fingerprint = target->tls_fingerprint;
    split_nameservers(cluster);
    cluster->options = (struct rc_link_options){.loop = loop};
    if (target->access_key.len > 0) {
        cluster->options.access_key = cluster->access_key;
        cluster->options.secret_key = cluster->secret_key;
    }
    if (rc_cluster_tls(target, &cluster->options.tls, error) != RC_OK) {
        rc_cluster_destroy(cluster);
        return NULL;
    }
    if (target->has_tls && cluster->tls_name[0] != '\0')
        cluster->options.tls_name = cluster->tls_name;
    return cluster;
}

void rc_cluster_destroy(struct rc_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->links_count; i++)
        rc_link_destroy(cluster->links[i].link);
    explicit_bzero(cluster->secret_key, strlen(cluster->secret_key));
    free(cluster->name);
    free(cluster->nameservers_text);
    free(cluster->pieces);
    free(cluster->access_key);
    free(cluster->secret_key);
    free(cluster->name_space);
    free(cluster->tls_name);
    rc_tls_unref(cluster->options.tls);
    free(cluster);
}

void rc_target_put_name(char *out, size_t size, const struct rc_target *target, struct rc_slice name)
{
    if (target != NULL && target->name_space.len > 0)
        snprintf(out, size, "%.*s%%%.*s", RC_SLICE_FMT(target->name_space), RC_SLICE_FMT(name));
    else
        snprintf(out, size, "%.*s", RC_SLICE_FMT(name));
}

bool rc_cluster_is_as(const struct rc_cluster *cluster, const struct rc_target *target)
{
    return rc_slice_eq_str(target->name, cluster->name) &&
           rc_slice_eq_str(target->nameservers, cluster->nameservers_text) &&
           rc_slice_eq_str(target->access_key, cluster->access_key) &&
           rc_slice_eq_str(target->secret_key, cluster->secret_key) &&
           rc_slice_eq_str(target->name_space, cluster->name_space) && target->has_tls == cluster->has_tls &&
           target->tls_fingerprint == cluster->tls_fingerprint &&
           rc_slice_eq_str(target->tls_name, cluster->tls_name);
}

struct rc_cluster_link *rc_cluster_link(struct rc_cluster *cluster, const char *address)
{
    for (uint32_t i = 0; i < cluster->links_count; i++)
        if (strcmp(rc_link_address(cluster->links[i].link), address) == 0)
            return &cluster->links[i];
    if (cluster->links_count == RC_RULES_LINKS_MAX)
        return NULL;
    struct rc_cluster_link *link = &cluster->links[cluster->links_count++];
    link->link = rc_link_create(&cluster->options, address);
    rc_list_init(&link->waiting);
    return link;
}

struct rc_link *rc_cluster_nameserver(struct rc_cluster *cluster)
{
    const char *address = cluster->nameservers[cluster->nameserver_at % cluster->nameservers_count];
    struct rc_cluster_link *link = rc_cluster_link(cluster, address);
    return link != NULL ? link->link : NULL;
}

void rc_cluster_next_nameserver(struct rc_cluster *cluster)
{
    cluster->nameserver_at++;
}
